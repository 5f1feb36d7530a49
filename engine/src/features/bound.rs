//! What leaves a space: keys whose events are past the horizon, and, at a bound, the key least recently counted,
//! whose times are remembered.

use super::evicted::Known;
use super::space::{Header, Now, Place, Space, hash_of};

/// How many headers an eviction looks at, to take the one least recently counted: enough for the oldest sixteenth,
/// and never a walk over all.
const SAMPLE: u32 = 16;

impl Space {
    /// Evicts other keys until the bytes are within their bound.
    pub(super) fn bound(&mut self, now: &Now, current: u32, cutoff_ms: i64) {
        while self.bytes() > now.limits.bytes_max && self.keys > 1 {
            self.evict(now, Some(current), cutoff_ms);
        }
    }
    /// Frees what is dead among the next headers, or else evicts the one of them least recently counted.
    pub(super) fn evict(&mut self, now: &Now, current: Option<u32>, cutoff_ms: i64) {
        let (mut seen, mut oldest): (u32, Option<u32>) = (0, None);
        let before = self.keys;
        while seen < SAMPLE && (seen as usize) < before {
            let number = self.advance();
            let header = self.headers.get(number);
            if header.sequence == 0 {
                continue;
            }
            seen += 1;
            if Some(number) == current {
                continue;
            }
            if header.known.last_ms <= cutoff_ms {
                self.remove(number, hash_of(header.key));
                return;
            }
            if oldest.is_none_or(|oldest| header.sequence < self.headers.get(oldest).sequence) {
                oldest = Some(number);
            }
        }
        let Some(number) = oldest else { return };
        let Header { key, known, .. } = *self.headers.get(number);
        self.remove(number, hash_of(key));
        self.evictions += 1;
        let lost = Known { lost_ms: known.lost_ms.max(known.last_ms), ..known };
        let ahead_ms = now.high_ms.saturating_add(now.limits.lateness_ms);
        if let Some(forgotten) = self.evicted.remember(key, lost, ahead_ms) {
            self.lost_ms = self.lost_ms.max(forgotten.lost_ms);
        }
    }
    fn advance(&mut self) -> u32 {
        let number = self.hand;
        self.hand = if number + 1 >= self.headers.end() { 0 } else { number + 1 };
        number
    }
    /// Looks at the next two headers and frees them when they are dead: as many as are made, and more.
    pub(super) fn sweep(&mut self, cutoff_ms: i64) {
        for _ in 0..2.min(self.headers.end()) {
            let number = self.advance();
            let header = self.headers.get(number);
            if header.sequence != 0 && header.known.last_ms <= cutoff_ms {
                self.remove(number, hash_of(header.key));
            }
        }
    }
    pub(super) fn remove(&mut self, number: u32, hash: u32) {
        match self.headers.get(number).place {
            Place::Nowhere => {}
            Place::Block(block) => {
                self.events -= self.blocks.view(block).head.live.count_ones() as usize;
                self.blocks.give(block);
            }
            Place::Chunks(at) => {
                let chunks = self.chunks.get_mut(at);
                self.chunk_bytes -= chunks.bytes();
                self.events -= chunks.events();
                chunks.release(&mut self.blocks);
                self.chunks.give(at);
            }
        }
        self.index.remove(hash, number);
        self.headers.give(number);
        self.keys -= 1;
    }
}
