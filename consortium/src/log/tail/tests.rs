#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn frames_follow_each_other_and_a_torn_end_is_dropped() {
    let (one, two) = (frame(5, &[&b"a"[..], b""]).unwrap(), frame(7, &[b"c"]).unwrap());
    let both = [&one[..], &two].concat();
    let tail = read(&both).unwrap().unwrap();
    assert_eq!((tail.first, tail.end(), tail.is_torn), (5, 8, false));
    assert_eq!(tail.leaves.iter().map(|leaf| &leaf[..]).collect::<Vec<_>>(), [&b"a"[..], b"", b"c"]);
    assert!(read(&[]).unwrap().is_none());
    for cut in 1..two.len() {
        let tail = read(&both[..both.len() - cut]).unwrap().unwrap();
        assert_eq!((tail.end(), tail.is_torn), (7, true));
    }
    let apart = [&one[..], &frame(8, &[b"c"]).unwrap()].concat();
    assert_eq!(read(&apart).unwrap_err().kind, ErrorKind::Corrupt);
}
