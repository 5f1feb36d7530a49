//! A long stream of card payments, each made from its number alone, for folders that are filled with a million of them:
//! what a start and what the second clock cost is measured on the same payments.

use crate::world::rfc3339;
use anyhow::Result;
use interdict::http::decisions::from_decoded;
use interdict::node::{Job, Node};
use interdict_ingest::{Decoder, RequestContext};
use std::sync::Arc;

/// Payments given to the node at once.
const BATCH: u64 = 64;

/// The stream.
#[derive(Debug, Clone)]
pub struct Payments {
    /// What ids begin with.
    pub prefix: &'static str,
    /// When it begins, ms since the Unix epoch.
    pub start_ms: i64,
    /// From one payment to the next, in ms.
    pub step_ms: i64,
    /// When all of them settle, ms since the Unix epoch; `None`: they do not say.
    pub settles_ms: Option<i64>,
}

impl Payments {
    /// The id of a payment.
    pub fn id(&self, number: u64) -> String {
        format!("{}-{number}", self.prefix)
    }
    /// When a payment is made, ms since the Unix epoch.
    pub fn time_ms(&self, number: u64) -> i64 {
        self.start_ms + number as i64 * self.step_ms
    }
    /// A payment of one of twenty thousand customers, and more as the stream goes on, at one of 40,000 shops, as JSON.
    pub fn json(&self, number: u64) -> String {
        let draw =
            number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ (number >> 7).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        let (customer, shop) = ((draw >> 20) % (20_000 + number / 10), (draw >> 8) % 40_000);
        let channel = ["chip", "contactless", "ecommerce"][(draw % 3) as usize];
        let (id, time, minor) = (self.id(number), rfc3339(self.time_ms(number)), 100 + draw % 20_000);
        let settles =
            self.settles_ms.map(|ms| format!(r#""settles_at":"{}","#, rfc3339(ms))).unwrap_or_default();
        format!(
            r#"{{"id":"{id}","time":"{time}",{settles}"amount":{{"minor":{minor},"currency":"EUR"}},"channel":"{channel}","card":{{"token":"c-{customer}"}},"merchant":{{"id":"m-{shop}","mcc":"5411","country":"FR"}},"terminal":{{"id":"t-{shop}"}},"device":{{"id":"d-{customer}"}}}}"#
        )
    }
    /// Has a node decide the first `events` of them in order, as a feed's, with progress on stderr.
    ///
    /// # Errors
    /// When a payment is not one.
    pub fn fill(&self, node: &Arc<Node>, events: u64) -> Result<()> {
        let decoder = Decoder::new(node.keys.tags.clone());
        let (bar, context) = (indicatif::ProgressBar::new(events), RequestContext::default());
        let mut number = 0;
        while number < events {
            let until = (number + BATCH).min(events);
            let jobs = (number..until).map(|number| {
                let decoded = decoder.decode(self.json(number).as_bytes(), &context);
                let decoded = decoded.map_err(|e| anyhow::anyhow!("{e:?}"))?;
                let submission = from_decoded(decoded, self.time_ms(number));
                Ok(Job { submission, deadline: None, reply: Box::new(drop) })
            });
            node.submit(jobs.collect::<Result<Vec<_>>>()?);
            number = until;
            bar.set_position(number);
        }
        bar.finish_and_clear();
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[test]
    fn a_payment_is_made_from_its_number_and_says_when_it_settles_where_it_is_to() {
        let plain = Payments { prefix: "r", start_ms: 1_772_409_600_000, step_ms: 40, settles_ms: None };
        let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let (one, again) = (read(&plain.json(7)), read(&plain.json(7)));
        assert_eq!((&one, one["id"].as_str(), one.get("settles_at")), (&again, Some("r-7"), None));
        assert_eq!(plain.time_ms(7) - plain.time_ms(6), 40);
        let settling = Payments { settles_ms: Some(1_772_500_000_000), ..plain };
        assert_eq!(read(&settling.json(7))["settles_at"].as_str(), Some(&*rfc3339(1_772_500_000_000)));
    }
}
