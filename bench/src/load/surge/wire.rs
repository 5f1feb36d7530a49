//! HTTP/1.1 as bytes: a request in one piece, and as much of an answer as is needed to tell what it is. A client of this
//! size costs a few microseconds a request, so that a core makes more load than another one can answer.

use super::Came;
use crate::client::Target;

/// The bytes of a request.
pub(super) fn request(target: &Target, body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST /v1/decisions HTTP/1.1\r\nhost: {}\r\n", target.authority());
    for (name, value) in target.headers() {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// What the bytes of an answer are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Not whole yet.
    Part,
    /// Whole; whether the connection can be used again.
    Whole(Came, bool),
    /// No answer of ours.
    Broken,
}

/// Reads an answer from its beginning.
pub(super) fn answer(bytes: &[u8]) -> Answer {
    let Some(head) = find(bytes, b"\r\n\r\n") else {
        return if bytes.len() > 16_384 { Answer::Broken } else { Answer::Part };
    };
    let body = &bytes[head + 4..];
    let Some(status) =
        bytes.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse::<u16>().ok())
    else {
        return Answer::Broken;
    };
    let header = |name: &str| {
        let mut lines = bytes[..head].split(|byte| *byte == b'\n').skip(1);
        lines.find_map(|line| {
            let (known, value) = line.split_at_checked(name.len())?;
            known.eq_ignore_ascii_case(name.as_bytes()).then(|| std::str::from_utf8(value).ok())?
        })
    };
    let Some(length) = header("content-length:").and_then(|value| value.trim().parse::<usize>().ok()) else {
        return Answer::Broken;
    };
    if body.len() < length {
        return Answer::Part;
    }
    let stays = header("connection:").is_none_or(|value| !value.trim().eq_ignore_ascii_case("close"));
    let came = match status {
        // The answer's own word for a verdict that lacks nothing.
        200 if find(body, b"\"skipped\":[]").is_some() => Came::Full,
        200 => Came::Default,
        429 | 503 => Came::Refused,
        _ => Came::Broken,
    };
    Answer::Whole(came, stays && body.len() == length)
}

fn find(bytes: &[u8], word: &[u8]) -> Option<usize> {
    bytes.windows(word.len()).position(|window| window == word)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_told_when_it_is_whole_and_not_before() {
        for (head, body, expected) in [
            ("200 OK", "{\"skipped\":[],\"x\":1}", Answer::Whole(Came::Full, true)),
            ("200 OK", "{\"skipped\":[{\"stage\":\"rules\"}]}", Answer::Whole(Came::Default, true)),
            ("503 Service Unavailable\r\nConnection: close", "{}", Answer::Whole(Came::Refused, false)),
            ("422 Unprocessable", "{}", Answer::Whole(Came::Broken, true)),
        ] {
            let text =
                format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\ndate: now\r\n\r\n{body}", body.len());
            assert_eq!(answer(text.as_bytes()), expected, "{text}");
            for cut in 0..text.len() {
                assert_eq!(answer(&text.as_bytes()[..cut]), Answer::Part, "{cut} of {text}");
            }
        }
        assert_eq!(answer(b"HTTP/1.1 200 OK\r\n\r\n"), Answer::Broken);
        let target = Target::parse("http://127.0.0.1:1").unwrap().with_header("interdict-tenant", "b");
        let text = String::from_utf8(request(&target, b"{}")).unwrap();
        assert!(
            text.starts_with("POST /v1/decisions HTTP/1.1\r\nhost: 127.0.0.1:1\r\ninterdict-tenant: b\r\n")
        );
        assert!(text.ends_with("content-length: 2\r\n\r\n{}"), "{text}");
    }
}
