//! What the stages of the server did with the stream, from `GET /v1/status`: that a stage ran, found something and
//! changed verdicts is seen here, not guessed from the outcomes.

use crate::client::Target;
use anyhow::{Context, ensure};
use bytes::Bytes;
use hyper::Method;
use serde_json::Value;
use std::fmt::Write;

/// The counts of every stage since the server started, as a table for people.
///
/// # Errors
/// When the server does not answer with stages.
pub async fn table(target: &Target) -> anyhow::Result<String> {
    let answer = target.connect().await?.send(Method::GET, "/v1/status", Bytes::new()).await?;
    ensure!(answer.status == 200, "GET /v1/status: status {}", answer.status);
    let status: Value = serde_json::from_slice(&answer.body).context("GET /v1/status")?;
    render(&status)
}

fn render(status: &Value) -> anyhow::Result<String> {
    let stages = status["stages"].as_object().context("GET /v1/status: no field stages")?;
    let mut text = String::from("stage        evaluated       hit  decisive   skipped\n");
    for (stage, counts) in stages {
        let count = |name: &str| counts[name].as_u64().with_context(|| format!("stages.{stage}.{name}"));
        let _ = writeln!(
            text,
            "{stage:<11}  {:>9}  {:>8}  {:>8}  {:>8}",
            count("evaluated")?,
            count("hits")?,
            count("decisive")?,
            count("skipped")?
        );
    }
    Ok(text)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn counts_become_rows_and_what_is_missing_is_named() {
        let counts = json!({"evaluated": 20, "hits": 3, "decisive": 2, "skipped": 1});
        let text = render(&json!({"stages": {"lists": counts, "rules": counts}})).unwrap();
        assert!(text.lines().nth(1).unwrap().split_whitespace().eq(["lists", "20", "3", "2", "1"]), "{text}");
        assert_eq!(text.lines().count(), 3);
        assert!(render(&json!({})).is_err());
        let error = render(&json!({"stages": {"lists": {"evaluated": 1}}})).unwrap_err();
        assert_eq!(format!("{error}"), "stages.lists.hits");
    }
}
