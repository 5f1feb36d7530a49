//! How long the stages take, on one payment in 64: between stages the live gate looks at the clock, and the time that
//! has passed is kept here. No verdict depends on it, and `verify` reads no clock at all.

use interdict_engine::Stage;
use interdict_ingest::{Decoded, Decoder, FieldError, RequestContext};
use prometheus::{Histogram, HistogramOpts, HistogramVec};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// One payment in this many is timed.
const EVERY: u64 = 64;
/// Which of them: not the one that [`super::tally`] asks again without each stage.
const AT: u64 = 32;

/// What is timed: stages, and of `sinks` the two parts that a payment waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Step {
    Decode,
    Normalise,
    Features,
    Lists,
    Patterns,
    Similarity,
    Models,
    Rules,
    Decision,
    Journal,
    Answer,
}

impl Step {
    /// All of them, in the order a payment meets them.
    pub const ALL: [Step; 11] = [
        Step::Decode,
        Step::Normalise,
        Step::Features,
        Step::Lists,
        Step::Patterns,
        Step::Similarity,
        Step::Models,
        Step::Rules,
        Step::Decision,
        Step::Journal,
        Step::Answer,
    ];
    /// The label of the metric: a stage's own name where there is a stage.
    pub const fn name(self) -> &'static str {
        match self {
            Step::Decode => Stage::Decode.name(),
            Step::Normalise => Stage::Normalise.name(),
            Step::Features => Stage::Features.name(),
            Step::Lists => Stage::Lists.name(),
            Step::Patterns => Stage::Patterns.name(),
            Step::Similarity => Stage::Similarity.name(),
            Step::Models => Stage::Models.name(),
            Step::Rules => Stage::Rules.name(),
            Step::Decision => Stage::Decision.name(),
            Step::Journal => "journal",
            Step::Answer => "answer",
        }
    }
    /// The step of a stage that a lane runs; `None` for the others.
    const fn of_lane(stage: Stage) -> Option<Step> {
        Some(match stage {
            Stage::Lists => Step::Lists,
            Stage::Patterns => Step::Patterns,
            Stage::Similarity => Step::Similarity,
            Stage::Models => Step::Models,
            Stage::Rules => Step::Rules,
            _ => return None,
        })
    }
}

/// Whether the payment of a sequence is timed.
pub fn is_timed(sequence: u64) -> bool {
    sequence % EVERY == AT
}

/// Whether a payment of one of the sequences after `last`, up to `upto`, is timed.
pub fn any_timed(last: u64, upto: u64) -> bool {
    let timed_up_to = |sequence: u64| (sequence + EVERY - AT) / EVERY;
    timed_up_to(upto) > timed_up_to(last)
}

/// The times measured so far, for `/metrics`.
#[derive(Debug)]
pub struct StageTimes {
    all: HistogramVec,
    /// By number of the step.
    steps: [Histogram; Step::ALL.len()],
    requests: AtomicU64,
}

impl Default for StageTimes {
    fn default() -> StageTimes {
        StageTimes::new()
    }
}

impl StageTimes {
    /// None measured; every step is there with a count of 0.
    pub fn new() -> StageTimes {
        // 0.1 µs to 105 ms by factors of two.
        let buckets = (0..21).map(|n| 1e-7 * f64::from(1u32 << n)).collect();
        let help = "Time a stage took, on one payment in 64";
        let opts = HistogramOpts::new("interdict_stage_duration_seconds", help).buckets(buckets);
        let all = HistogramVec::new(opts, &["stage"]).expect("the name and the label are valid");
        let steps = Step::ALL.map(|step| all.with_label_values(&[step.name()]));
        StageTimes { all, steps, requests: AtomicU64::new(0) }
    }
    /// All of them, to be registered.
    pub fn collector(&self) -> HistogramVec {
        self.all.clone()
    }
    /// A payment spent so long in a step.
    pub fn observe(&self, step: Step, took: Duration) {
        self.steps[step as usize].observe(took.as_secs_f64());
    }

    /// How many payments were timed in a step.
    #[cfg(test)]
    pub fn count(&self, step: Step) -> u64 {
        self.steps[step as usize].get_sample_count()
    }

    /// [`Decoder::decode`], timed on one request in 64: no sequence is known yet.
    ///
    /// # Errors
    /// As the decoder; what is refused is not counted.
    pub fn decode(
        &self,
        decoder: &Decoder,
        body: &[u8],
        ctx: &RequestContext<'_>,
    ) -> Result<Decoded, FieldError> {
        if !is_timed(self.requests.fetch_add(1, Relaxed)) {
            return decoder.decode(body, ctx);
        }
        let began = Instant::now();
        let mut read = began;
        let decoded = decoder.decode_telling(body, ctx, || read = Instant::now())?;
        let normalised = read.elapsed();
        self.observe(Step::Decode, read - began);
        self.observe(Step::Normalise, normalised);
        Ok(decoded)
    }
}

/// When each stage of one timed payment began.
#[derive(Debug)]
pub struct Timing<'a> {
    times: &'a StageTimes,
    /// When each step began, and which; `None`: a stage that was skipped.
    begun: Vec<(Option<Step>, Instant)>,
}

impl<'a> Timing<'a> {
    /// Of the payment of a sequence, where it is timed.
    pub fn of(times: &'a StageTimes, sequence: u64) -> Option<Timing<'a>> {
        is_timed(sequence).then(|| Timing { times, begun: Vec::with_capacity(Stage::LANE.len() + 1) })
    }
    /// A stage begins, or is skipped.
    pub fn begins(&mut self, stage: Stage, skipped: bool, now: Instant) {
        self.begun.push((Step::of_lane(stage).filter(|_| !skipped), now));
    }
    /// All stages are over.
    pub fn deciding(&mut self, now: Instant) {
        self.begun.push((Some(Step::Decision), now));
    }
    /// Counts what was timed; to be called when the verdict is there.
    pub fn done(self) {
        let mut ended = Instant::now();
        for (step, began) in self.begun.into_iter().rev() {
            if let Some(step) = step {
                self.times.observe(step, ended - began);
            }
            ended = began;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sequence_in_64_is_timed_however_they_are_batched() {
        let timed = |from: u64, upto: u64| (from + 1..=upto).filter(|sequence| is_timed(*sequence)).count();
        assert_eq!(timed(0, 64_000), 1000);
        for last in 0..200 {
            for upto in last..last + 130 {
                assert_eq!(any_timed(last, upto), timed(last, upto) > 0, "after {last}, up to {upto}");
            }
        }
    }
}
