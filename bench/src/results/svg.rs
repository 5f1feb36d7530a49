//! Small charts as SVG, drawn by hand: panels with axes, polylines or bars, and one legend. Colours follow the reader's
//! light or dark mode; nothing else is needed to look at them.

use std::fmt::Write;

const WIDTH: f64 = 860.0;
const PANEL: (f64, f64) = (330.0, 200.0);
const LEFT: f64 = 75.0;
const GAP: (f64, f64) = (100.0, 70.0);
const STYLE: &str = "\
.bg{fill:#fff}text{font:12px system-ui,sans-serif;fill:#222}.h{font-size:16px;font-weight:600}.t{font-weight:600}\
.s{font-size:10px;fill:#666}.g{stroke:#ddd}.a{stroke:#888}\
polyline{fill:none;stroke-width:2}.l0{stroke:#0072b2}.l1{stroke:#d55e00}.l2{stroke:#009e73}.other{stroke:#777}\
.disk{stroke-dasharray:5 4}circle{stroke-width:2;fill:none}\
.bar{stroke-width:2;fill:#8884}\
@media (prefers-color-scheme: dark){.bg{fill:#0d1117}text{fill:#e6edf3}.s{fill:#9aa4ae}.g{stroke:#30363d}\
.l0{stroke:#58a6ff}.l1{stroke:#ff9e64}.l2{stroke:#3ddc97}.other{stroke:#aaa}}";

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines over percents, values by their logarithm.
    Log,
    /// Lines over percents, values from zero.
    Linear,
    /// A bar for each series' first value, from zero.
    Bars,
}

/// One line, or one bar.
#[derive(Debug, Clone)]
pub struct Series {
    /// For the legend.
    pub name: String,
    /// Of the style: `l0`, `l1`, `l2` or `other`, and `os` or `disk`.
    pub class: String,
    /// (percent, value); values that are not above 0 have no place in a logarithm and are left out.
    pub points: Vec<(f64, f64)>,
}

/// One chart of a figure.
#[derive(Debug, Clone)]
pub struct Panel {
    /// What is shown.
    pub title: String,
    /// Of the values.
    pub unit: String,
    /// How.
    pub kind: Kind,
    /// Of what.
    pub series: Vec<Series>,
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A number as axes have it: `1500`, `20 k`.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{} M", v / 1e6),
        v if v >= 10_000.0 => format!("{} k", v / 1000.0),
        v => format!("{v}"),
    }
}

/// From 1, 2 or 5 times a power of ten, the next that is not below.
fn round_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-9).log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|end| *end >= value).unwrap_or(value)
}

struct Axis {
    log: bool,
    from: f64,
    to: f64,
    ticks: Vec<f64>,
}

impl Axis {
    fn of(panel: &Panel) -> Axis {
        let values = || panel.series.iter().flat_map(|series| series.points.iter().map(|(_, value)| *value));
        let most = values().fold(0.0, f64::max);
        if panel.kind != Kind::Log {
            let to = round_up(most.max(1.0));
            return Axis {
                log: false,
                from: 0.0,
                to,
                ticks: (0..=4).map(|n| to * f64::from(n) / 4.0).collect(),
            };
        }
        let least = values().filter(|value| *value > 0.0).fold(f64::INFINITY, f64::min).min(most.max(1.0));
        let (from, to) = (least.log10().floor() as i32, most.max(1.0).log10().ceil() as i32);
        let to = to.max(from + 1);
        Axis {
            log: true,
            from: f64::from(from),
            to: f64::from(to),
            ticks: (from..=to).map(|n| 10_f64.powi(n)).collect(),
        }
    }
    /// From 0 at the axis' beginning to 1 at its end.
    fn place(&self, value: f64) -> f64 {
        let value = if self.log { value.log10() } else { value };
        (value - self.from) / (self.to - self.from)
    }
}

fn panel(out: &mut String, panel: &Panel, (x, y): (f64, f64)) {
    let (axis, (width, height)) = (Axis::of(panel), PANEL);
    let _ = write!(
        out,
        r#"<text class="t" x="{x}" y="{}">{} <tspan class="s">{}</tspan></text>"#,
        y - 10.0,
        escaped(&panel.title),
        escaped(&panel.unit)
    );
    if panel.kind == Kind::Bars {
        return bars(out, panel, &axis, (x, y));
    }
    for tick in &axis.ticks {
        let at = y + height * (1.0 - axis.place(*tick));
        let _ = write!(out, r#"<line class="g" x1="{x}" x2="{}" y1="{at:.1}" y2="{at:.1}"/>"#, x + width);
        let _ = write!(
            out,
            r#"<text class="s" x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
            x - 6.0,
            at + 3.0,
            short(*tick)
        );
    }
    let across = |percent: f64| x + width * percent / 100.0;
    for percent in [25.0, 50.0, 75.0, 90.0] {
        let (at, foot) = (across(percent), y + height);
        let _ = write!(out, r#"<line class="a" x1="{at:.1}" x2="{at:.1}" y1="{foot}" y2="{}"/>"#, foot + 4.0);
        let _ = write!(
            out,
            r#"<text class="s" x="{at:.1}" y="{}" text-anchor="middle">{percent} %</text>"#,
            foot + 16.0
        );
    }
    let foot = y + height;
    let _ = write!(out, r#"<line class="a" x1="{x}" x2="{}" y1="{foot}" y2="{foot}"/>"#, x + width);
    let _ = write!(
        out,
        r#"<text class="s" x="{}" y="{}" text-anchor="middle">of its own saturation</text>"#,
        x + width / 2.0,
        foot + 30.0
    );
    for series in &panel.series {
        let shown = series.points.iter().filter(|(_, value)| panel.kind != Kind::Log || *value > 0.0);
        let places: Vec<(f64, f64)> = shown
            .map(|(percent, value)| (across(*percent), y + height * (1.0 - axis.place(*value))))
            .collect();
        if places.is_empty() {
            continue;
        }
        let points: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let _ = write!(out, r#"<polyline class="{}" points="{}"/>"#, series.class, points.join(" "));
        for (x, y) in places {
            let _ = write!(
                out,
                r#"<circle class="{}" style="stroke-dasharray:none" cx="{x:.1}" cy="{y:.1}" r="2.5"/>"#,
                series.class
            );
        }
    }
}

fn bars(out: &mut String, panel: &Panel, axis: &Axis, (x, y): (f64, f64)) {
    let (width, height) = (PANEL.0 - 50.0, PANEL.1);
    let each = height / panel.series.len().max(1) as f64;
    for (number, series) in panel.series.iter().enumerate() {
        let value = series.points.first().map_or(0.0, |(_, value)| *value);
        let (top, long) = (y + each * number as f64 + 3.0, width * axis.place(value));
        let _ = write!(
            out,
            r#"<rect class="bar {}" x="{x}" y="{top:.1}" width="{long:.1}" height="{:.1}"/>"#,
            series.class,
            each - 6.0
        );
        let _ = write!(
            out,
            r#"<text class="s" x="{:.1}" y="{:.1}">{value:.0}</text>"#,
            x + long + 6.0,
            top + each / 2.0
        );
    }
    let _ = write!(out, r#"<line class="a" x1="{x}" x2="{x}" y1="{y}" y2="{}"/>"#, y + height);
}

/// A figure: title, legend, panels in two columns, and lines at the foot.
pub fn figure(title: &str, foot: &[String], panels: &[Panel]) -> String {
    let legend = panels.first().map_or(&[][..], |panel| &panel.series[..]);
    let legend_rows = legend.len().div_ceil(3) as f64;
    let top = 60.0 + legend_rows * 20.0 + 30.0;
    let rows = panels.len().div_ceil(2) as f64;
    let foot_at = top + rows * (PANEL.1 + GAP.1);
    let height = foot_at + foot.len() as f64 * 14.0 + 10.0;
    let mut out = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"><title>{0}</title><style>{STYLE}</style><rect class="bg" width="{WIDTH}" height="{height}"/><text class="h" x="20" y="32">{0}</text>"#,
        escaped(title)
    );
    for (number, series) in legend.iter().enumerate() {
        let (x, y) = (20.0 + (number % 3) as f64 * 220.0, 60.0 + (number / 3) as f64 * 20.0);
        let _ = write!(
            out,
            r#"<polyline class="{}" points="{x},{} {},{}"/>"#,
            series.class,
            y - 4.0,
            x + 32.0,
            y - 4.0
        );
        let _ = write!(out, r#"<text x="{}" y="{y}">{}</text>"#, x + 40.0, escaped(&series.name));
    }
    for (number, one) in panels.iter().enumerate() {
        let x = LEFT + (number % 2) as f64 * (PANEL.0 + GAP.0);
        panel(&mut out, one, (x, top + (number / 2) as f64 * (PANEL.1 + GAP.1)));
    }
    for (number, line) in foot.iter().enumerate() {
        let y = foot_at + number as f64 * 14.0;
        let _ = write!(out, r#"<text class="s" x="20" y="{y}">{}</text>"#, escaped(line));
    }
    out + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_hold_every_value_and_end_at_round_ones() {
        let series = |values: &[f64]| Series {
            name: "a <b>".into(),
            class: "l0 os".into(),
            points: values.iter().map(|value| (25.0, *value)).collect(),
        };
        let panel = |kind, values: &[f64]| Panel {
            title: "t".into(),
            unit: "u".into(),
            kind,
            series: vec![series(values)],
        };
        let log = Axis::of(&panel(Kind::Log, &[0.0, 83.0, 12_000.0]));
        assert_eq!(log.ticks, [10.0, 100.0, 1000.0, 10_000.0, 100_000.0]);
        assert!((log.place(10.0), log.place(100_000.0)) == (0.0, 1.0));
        let linear = Axis::of(&panel(Kind::Linear, &[3.0, 130.0]));
        assert_eq!((linear.to, linear.place(50.0)), (200.0, 0.25));
        // Nothing measured is drawn as nothing.
        for kind in [Kind::Log, Kind::Linear, Kind::Bars] {
            let text = figure("x", &[], &[panel(kind, &[])]);
            assert!(!text.contains("NaN") && !text.contains("inf") && text.contains("a &lt;b&gt;"), "{text}");
        }
    }
}
