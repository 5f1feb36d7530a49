//! The parameters of `GET /v1/holds`. A wrong one is told by name; its value is not quoted.

use super::Problem;
use crate::node::holds::{Cursor, Filter};
use axum::http::StatusCode;
use interdict_engine::domain::{HoldState, Lever};
use interdict_engine::error::nearest;
use interdict_engine::limits::HOLDS_PAGE_MAX;
use interdict_engine::settlement::HoldKind;
use interdict_ingest::normalise::time::rfc3339_ms;

/// Holds of a page where nothing else is said.
const PAGE: usize = 100;

const NAMES: [&str; 14] = [
    "state",
    "tenant",
    "lever",
    "kind",
    "reason",
    "sanctions",
    "proposed",
    "since",
    "until",
    "currency",
    "min_amount",
    "order",
    "cursor",
    "limit",
];

/// What is asked for.
#[derive(Debug)]
pub(super) struct Asked {
    pub filter: Filter,
    pub from: Cursor,
    pub most: usize,
}

/// Reads the parameters.
///
/// # Errors
/// 422 with the parameter that is wrong.
pub(super) fn read(query: &[(String, String)]) -> Result<Asked, Problem> {
    let mut filter = Filter::default();
    let (mut cursor, mut by_deadline, mut most) = (None::<Cursor>, None::<bool>, PAGE);
    for (name, value) in query {
        match name.as_str() {
            "state" => {
                let states = value.split(',').map(HoldState::by_name).collect::<Option<Vec<_>>>();
                let all: Vec<&str> = HoldState::ALL.iter().map(|state| state.name()).collect();
                filter.states = states.ok_or_else(|| wrong("state", &all.join(", ")))?;
            }
            "tenant" => filter.tenant = Some(value.clone()),
            "lever" => {
                let all: Vec<&str> = Lever::ALL.iter().map(|lever| lever.name()).collect();
                let lever = Lever::by_name(value).ok_or_else(|| wrong("lever", &all.join(", ")))?;
                filter.lever = Some(lever);
            }
            "kind" => {
                let kind = HoldKind::by_name(value);
                filter.kind = Some(kind.ok_or_else(|| wrong("kind", "settlement, payout or fulfilment"))?);
            }
            "reason" => filter.reason = Some(value.clone()),
            "sanctions" => filter.sanctions = Some(truth("sanctions", value)?),
            "proposed" => filter.proposed = Some(truth("proposed", value)?),
            "since" => filter.since_ms = Some(moment("since", value)?),
            "until" => filter.until_ms = Some(moment("until", value)?),
            "currency" => filter.currency = Some(value.clone()),
            "min_amount" => {
                let least = value.parse().map_err(|_| wrong("min_amount", "an amount in minor units"))?;
                filter.least_minor = Some(least);
            }
            "order" => match value.as_str() {
                "id" => by_deadline = Some(false),
                "deadline" => by_deadline = Some(true),
                _ => return Err(wrong("order", "id or deadline")),
            },
            "cursor" => {
                let read = value.parse().map_err(|()| wrong("cursor", "`next` of the page before"))?;
                cursor = Some(read);
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=HOLDS_PAGE_MAX).contains(limit));
                most = limit.ok_or_else(|| wrong("limit", &format!("1 to {HOLDS_PAGE_MAX}")))?;
            }
            other => return Err(unknown(other)),
        }
    }
    let from = match (cursor, by_deadline) {
        (Some(Cursor::Id(_)), Some(true)) | (Some(Cursor::Deadline(_)), Some(false)) => {
            return Err(wrong("cursor", "`next` of a page in the same order"));
        }
        (Some(cursor), _) => cursor,
        (None, Some(true)) => Cursor::Deadline(None),
        (None, _) => Cursor::Id(None),
    };
    Ok(Asked { filter, from, most })
}

fn truth(name: &str, value: &str) -> Result<bool, Problem> {
    value.parse().map_err(|_| wrong(name, "true or false"))
}
fn moment(name: &str, value: &str) -> Result<i64, Problem> {
    rfc3339_ms(value).map_err(|_| wrong(name, "a time as RFC 3339 has it"))
}
fn wrong(name: &str, expected: &str) -> Problem {
    Problem {
        field: Some(name.to_owned()),
        expected: Some(expected.to_owned()),
        ..Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{name}: expected {expected}"))
    }
}
fn unknown(name: &str) -> Problem {
    let hint = nearest(name, NAMES).map_or(String::new(), |known| format!(", did you mean {known:?}?"));
    let text = format!("a parameter that is not known{hint} (known here: {})", NAMES.join(", "));
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use axum::extract::Query;

    fn read(query: &str) -> Result<Asked, Problem> {
        let uri = format!("/?{query}").parse().unwrap();
        super::read(&Query::<Vec<(String, String)>>::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn a_wrong_parameter_is_told_by_name_and_never_quoted() {
        let asked = read(
            "state=held,released&tenant=a%20b&lever=cancel_capture&kind=payout&reason=p%2Fr&sanctions=true\
             &proposed=false&since=2026-01-01T00:00:00Z&min_amount=7&currency=EUR&order=deadline&limit=9",
        )
        .unwrap();
        assert_eq!((asked.from, asked.most), (Cursor::Deadline(None), 9));
        let filter = asked.filter;
        assert_eq!(filter.states, [HoldState::Held, HoldState::Released]);
        assert_eq!((filter.tenant.as_deref(), filter.reason.as_deref()), (Some("a b"), Some("p/r")));
        assert_eq!(
            (filter.sanctions, filter.proposed, filter.least_minor),
            (Some(true), Some(false), Some(7))
        );
        for (query, field) in [
            ("state=4539148803436467", "state"),
            ("lever=4539148803436467", "lever"),
            ("sanctions=4539148803436467", "sanctions"),
            ("since=4539148803436467", "since"),
            ("min_amount=4539148803436467x", "min_amount"),
            ("limit=0", "limit"),
            ("limit=1001", "limit"),
            ("order=amount", "order"),
            ("order=deadline&cursor=h-4", "cursor"),
            ("order=id&cursor=5.h-4", "cursor"),
            ("cursor=4539148803436467", "cursor"),
        ] {
            let problem = read(query).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)), "{query}");
            assert!(!problem.detail.contains("4539"), "{}", problem.detail);
        }
        let problem = read("stat=held").unwrap_err();
        assert!(problem.detail.contains("did you mean \"state\"?"), "{}", problem.detail);
    }
}
