//! `POST /v1/decisions` in HTTP/1.1 as bytes, as far as clients send it as a rule: told apart by its head alone, so that
//! it can be refused before anything else is spent on it. Whatever is unusual is not read here but by hyper.

use super::problem::Problem;
use axum::http::StatusCode;
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest head that is read here.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Largest body that is read here.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
const HEADERS_MAX: usize = 32;

/// A whole request.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// `Authorization`.
    pub authorization: Option<&'a str>,
    /// `X-Api-Key`.
    pub api_key: Option<&'a str>,
    /// `Interdict-Tenant`.
    pub tenant: Option<&'a str>,
    /// `Interdict-Deadline-Ms`.
    pub deadline_ms: Option<&'a str>,
    /// `Idempotency-Key`, else `X-Idempotency-Key`.
    pub idempotency_key: Option<&'a str>,
    /// Its body.
    pub body: &'a [u8],
    /// Its bytes in all.
    pub len: usize,
}

/// What bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read<'a> {
    /// The beginning of a request that may be one of ours, and how long it is in all as far as that is known.
    Part(Option<usize>),
    /// A request, whole.
    Whole(Request<'a>),
    /// Something else: another call or version, a body of another form, a header that asks for more.
    Other,
}

/// Reads the bytes of a connection from where a request begins.
pub fn read(bytes: &[u8]) -> Read<'_> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut headers);
    let head_len = match head.parse(bytes) {
        Ok(httparse::Status::Complete(len)) if len <= HEAD_BYTES_MAX => len,
        Ok(httparse::Status::Partial) if bytes.len() < HEAD_BYTES_MAX => return Read::Part(None),
        _ => return Read::Other,
    };
    if (head.method, head.path, head.version) != (Some("POST"), Some("/v1/decisions"), Some(1)) {
        return Read::Other;
    }
    let (mut request, mut other_key, mut body_len) = (Request::default(), None, None);
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        let place = if is("content-length") {
            match (digits(header.value), body_len) {
                (Some(len), None) => body_len = Some(len),
                _ => return Read::Other,
            }
            continue;
        } else if is("authorization") {
            &mut request.authorization
        } else if is("x-api-key") {
            &mut request.api_key
        } else if is("interdict-tenant") {
            &mut request.tenant
        } else if is("interdict-deadline-ms") {
            &mut request.deadline_ms
        } else if is("idempotency-key") {
            &mut request.idempotency_key
        } else if is("x-idempotency-key") {
            &mut other_key
        } else if is("connection") && header.value.eq_ignore_ascii_case(b"keep-alive") {
            continue;
        } else if ["connection", "transfer-encoding", "expect", "upgrade", "te", "trailer"]
            .into_iter()
            .any(is)
        {
            return Read::Other;
        } else {
            continue;
        };
        match visible(header.value) {
            Some(text) if place.is_none() => *place = Some(text),
            // Twice, or not as text: what that means is decided in one place.
            _ => return Read::Other,
        }
    }
    let Some(body_len) = body_len.filter(|len| *len <= BODY_BYTES_MAX) else { return Read::Other };
    request.idempotency_key = request.idempotency_key.or(other_key);
    request.len = head_len + body_len;
    match bytes.get(head_len..request.len) {
        Some(body) => Read::Whole(Request { body, ..request }),
        None => Read::Part(Some(request.len)),
    }
}

fn digits(value: &[u8]) -> Option<usize> {
    if value.is_empty() || value.len() > 9 || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
fn visible(value: &[u8]) -> Option<&str> {
    let is_visible = |byte: &u8| *byte == b'\t' || (b' '..=b'~').contains(byte);
    value.iter().all(is_visible).then(|| std::str::from_utf8(value).ok())?
}

/// Writes answers' heads.
#[derive(Debug, Default)]
pub struct Heads {
    /// The time of the last one, in seconds since the Unix epoch, and as `Date` has it.
    date: (u64, String),
}

impl Heads {
    /// Appends the head of an answer whose body is so long. `more` are header lines, each with its end.
    fn head(&mut self, status: StatusCode, content_type: &str, more: &str, len: usize, out: &mut Vec<u8>) {
        let now = SystemTime::now();
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if self.date.0 != second || self.date.1.is_empty() {
            self.date = (second, httpdate::fmt_http_date(now));
        }
        let (code, words) = (status.as_str(), status.canonical_reason().unwrap_or_default());
        let _ = write!(
            out,
            "HTTP/1.1 {code} {words}\r\ncontent-type: {content_type}\r\n{more}content-length: {len}\r\ndate: {}\r\n\r\n",
            self.date.1
        );
    }
    /// Appends an answer of JSON. `is_last`: nothing more is read from the connection.
    pub fn json(&mut self, body: &[u8], is_last: bool, out: &mut Vec<u8>) {
        self.head(StatusCode::OK, "application/json", closing(is_last), body.len(), out);
        out.extend_from_slice(body);
    }
    /// Appends a problem.
    pub fn problem(&mut self, problem: &Problem, is_last: bool, out: &mut Vec<u8>) {
        let Rendered { status, retry_after, body } = Rendered::of(problem);
        let more = format!("{retry_after}{}", closing(is_last));
        self.head(status, "application/problem+json", &more, body.len(), out);
        out.extend_from_slice(&body);
    }
    /// Appends a problem that is rendered already.
    pub fn rendered(&mut self, rendered: &Rendered, out: &mut Vec<u8>) {
        let Rendered { status, retry_after, body } = rendered;
        self.head(*status, "application/problem+json", retry_after, body.len(), out);
        out.extend_from_slice(body);
    }
}

fn closing(is_last: bool) -> &'static str {
    if is_last { "connection: close\r\n" } else { "" }
}

/// A problem as bytes, but for the time.
#[derive(Debug)]
pub struct Rendered {
    status: StatusCode,
    retry_after: String,
    body: Vec<u8>,
}

impl Rendered {
    /// Renders.
    pub fn of(problem: &Problem) -> Rendered {
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                format!("retry-after: {}\r\n", problem.retry_after_s.max(1))
            }
            _ => String::new(),
        };
        let body = serde_json::to_vec(problem).expect("a problem always encodes");
        Rendered { status, retry_after, body }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(more: &str, body: &str) -> String {
        let len = body.len();
        format!("POST /v1/decisions HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len}\r\n\r\n{body}")
    }

    #[test]
    fn what_is_unusual_is_not_read_here() {
        let whole = text("", "{}");
        let others = [
            whole.replace("POST", "PUT"),
            whole.replace("/v1/decisions", "/v1/decisions?x"),
            whole.replace("HTTP/1.1", "HTTP/1.0"),
            whole.replace("HTTP/1.1", "HTTP/2.0"),
            whole.replace("Content-Length: 2", "Content-Length: +2"),
            whole.replace("Content-Length: 2", "Content-Length: 2, 2"),
            whole.replace("Content-Length: 2", "X: 2"),
            whole.replace("Content-Length: 2", &format!("Content-Length: {}", BODY_BYTES_MAX + 1)),
            text("Content-Length: 2\r\n", "{}"),
            text("Transfer-Encoding: chunked\r\n", "{}"),
            text("Expect: 100-continue\r\n", "{}"),
            text("Connection: close\r\n", "{}"),
            text("Connection: Upgrade\r\nUpgrade: h2c\r\n", "{}"),
            text("Interdict-Tenant: a\r\nInterdict-Tenant: b\r\n", "{}"),
            text("Interdict-Tenant: \u{e9}\r\n", "{}"),
            text(&format!("X: {}\r\n", "x".repeat(HEAD_BYTES_MAX)), "{}"),
            text(&"X: y\r\n".repeat(HEADERS_MAX), "{}"),
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            "nonsense\r\n\r\n".into(),
        ];
        for other in others {
            assert_eq!(read(other.as_bytes()), Read::Other, "{other}");
        }
    }

    proptest! {
        /// Cut anywhere it is a part, and what follows it is not looked at.
        #[test]
        fn a_request_is_whole_with_its_last_byte_and_not_before(
            tenant in "[a-z]{1,12}", key in "[ -~]{0,20}", body in "[ -~]{0,200}", after in "[ -~]{0,30}",
        ) {
            let (tenant, key) = (tenant.as_str(), key.trim());
            let more = format!(
                "X-API-KEY: k\r\ninterdict-tenant:{tenant}\r\nX-Idempotency-Key: {key}\r\nconnection: Keep-Alive\r\n"
            );
            let whole = text(&more, &body);
            for cut in 0..whole.len() {
                let is_part = match read(&whole.as_bytes()[..cut]) {
                    Read::Part(needed) => needed.is_none_or(|needed| needed == whole.len()),
                    _ => false,
                };
                prop_assert!(is_part, "{}", &whole[..cut]);
            }
            let expected = Request {
                authorization: None,
                api_key: Some("k"),
                tenant: Some(tenant),
                deadline_ms: None,
                idempotency_key: Some(key),
                body: body.as_bytes(),
                len: whole.len(),
            };
            let all = format!("{whole}{after}");
            prop_assert_eq!(read(all.as_bytes()), Read::Whole(expected));
        }
    }

    #[test]
    fn heads_say_how_long_and_when() {
        let (mut heads, mut out) = (Heads::default(), Vec::new());
        heads.json(b"{}", true, &mut out);
        let told = String::from_utf8(out).unwrap();
        let (head, body) = told.split_once("\r\n\r\n").unwrap();
        assert_eq!(body, "{}");
        assert!(
            head.starts_with("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n")
        );
        assert!(head.contains("\r\ncontent-length: 2\r\ndate: "), "{head}");
        let problem = Problem { retry_after_s: 7, ..Problem::new(StatusCode::TOO_MANY_REQUESTS, "later") };
        let (mut one, mut other) = (Vec::new(), Vec::new());
        heads.problem(&problem, false, &mut one);
        heads.rendered(&Rendered::of(&problem), &mut other);
        let [one, other] = [one, other].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(
            one.starts_with("HTTP/1.1 429 Too Many Requests\r\n") && one.contains("\r\nretry-after: 7\r\n")
        );
        assert!(!one.contains("connection"), "{one}");
        assert_eq!(one.split_once("date").unwrap().0, other.split_once("date").unwrap().0);
    }
}
