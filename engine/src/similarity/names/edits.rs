//! Edits between two words: insertion, deletion, substitution, adjacent transposition (optimal string alignment),
//! counted only up to a small bound, in a band around the diagonal. Linear in the length, no allocation.

/// Most edits ever asked for.
pub const EDITS_MAX: usize = 3;
const WIDTH: usize = 2 * EDITS_MAX + 1;
const FAR: u8 = u8::MAX / 2;

/// The edits that make `b` of `a`, if they are at most `limit` (itself at most [`EDITS_MAX`]).
pub fn within(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    debug_assert!(limit <= EDITS_MAX);
    if a.len().abs_diff(b.len()) > limit {
        return None;
    }
    if a == b {
        return Some(0);
    }
    if limit == 0 {
        return None;
    }
    // What both ends share needs no edit, and most pairs end here or nearly so.
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let (a, b) = (&a[head..], &b[head..]);
    let tail = a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count();
    band(&a[..a.len() - tail], &b[..b.len() - tail], limit)
}

/// Row `i`, cell `d` holds the edits between `a[..i]` and `b[..i + d - EDITS_MAX]`.
fn band(a: &[u8], b: &[u8], limit: usize) -> Option<usize> {
    let mut before = [FAR; WIDTH];
    let mut row = [FAR; WIDTH];
    for (d, cell) in row.iter_mut().enumerate().skip(EDITS_MAX) {
        *cell = (d - EDITS_MAX) as u8;
    }
    for i in 1..=a.len() {
        let mut next = [FAR; WIDTH];
        for d in 0..WIDTH {
            let Some(j) = (i + d).checked_sub(EDITS_MAX).filter(|&j| j <= b.len()) else { continue };
            let mut least = if d + 1 < WIDTH { row[d + 1] + 1 } else { FAR };
            if j > 0 {
                least = least.min(row[d] + u8::from(a[i - 1] != b[j - 1]));
                if d > 0 {
                    least = least.min(next[d - 1] + 1);
                }
            }
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(before[d] + 1);
            }
            next[d] = least.min(FAR);
        }
        if next.iter().all(|&cell| usize::from(cell) > limit) && row.iter().all(|&c| usize::from(c) > limit) {
            return None;
        }
        before = row;
        row = next;
    }
    let edits = usize::from(row[b.len() + EDITS_MAX - a.len()]);
    (edits <= limit).then_some(edits)
}

/// Edits that two words of this length (the longer one's, in letters) may differ by and still be one word: none in
/// up to two letters, one in three to five, two from six.
pub const fn allowed(letters: usize) -> usize {
    match letters {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The plain table, as in any textbook.
    fn plain(a: &[u8], b: &[u8]) -> usize {
        let mut table = vec![vec![0usize; b.len() + 1]; a.len() + 1];
        for i in 0..=a.len() {
            for j in 0..=b.len() {
                table[i][j] = if i == 0 || j == 0 {
                    i + j
                } else {
                    let cost = usize::from(a[i - 1] != b[j - 1]);
                    let mut least =
                        (table[i - 1][j] + 1).min(table[i][j - 1] + 1).min(table[i - 1][j - 1] + cost);
                    if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                        least = least.min(table[i - 2][j - 2] + 1);
                    }
                    least
                };
            }
        }
        table[a.len()][b.len()]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn band_equals_table(a in "[a-c]{0,12}", b in "[a-c]{0,12}", limit in 0usize..=EDITS_MAX) {
            let edits = plain(a.as_bytes(), b.as_bytes());
            prop_assert_eq!(within(a.as_bytes(), b.as_bytes(), limit), (edits <= limit).then_some(edits));
        }
    }

    #[test]
    fn a_transposition_is_one_edit() {
        assert_eq!(within(b"faiz", b"afiz", 1), Some(1));
        assert_eq!(within(b"donlad", b"donald", 2), Some(1));
        assert_eq!(within(b"ab", b"cd", 1), None);
    }
}
