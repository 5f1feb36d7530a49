//! Which URLs notices may be posted to. Endpoints are the operator's, from the configuration alone: no caller of the API
//! can name one, so what is checked here is that no secret or notice travels in the clear.

use std::net::IpAddr;
use ureq::http::Uri;

/// Longest URL, in bytes.
const URL_BYTES_MAX: usize = 2048;

/// Whether notices may be posted to a URL: https, or http to this machine itself.
///
/// # Errors
/// What was expected. The URL is not quoted: it may have a token in it.
pub fn check_url(url: &str) -> Result<(), &'static str> {
    const EXPECTED: &str = "an https URL with a host (http only to localhost, 127.0.0.0/8 or [::1])";
    let uri: Uri = url.parse().map_err(|_| EXPECTED)?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(EXPECTED) };
    if url.len() > URL_BYTES_MAX {
        return Err("a URL of at most 2048 bytes");
    }
    if authority.as_str().contains('@') {
        return Err("a URL without user and password");
    }
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_loopback = host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|ip| ip.is_loopback());
    match scheme {
        "https" if !host.is_empty() => Ok(()),
        "http" if is_loopback => Ok(()),
        _ => Err(EXPECTED),
    }
}

/// Whether it is an https URL, so that roots are needed.
pub(super) fn is_https(url: &str) -> bool {
    url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_this_machine() {
        for good in [
            "https://example.com/hooks?a=b",
            "https://10.0.0.7:8443/",
            "http://127.0.0.1:8080/x",
            "http://localhost/",
            "http://[::1]:9/x",
        ] {
            assert_eq!(check_url(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "example.com",
            "/hooks",
            "http://example.com/",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "http://10.0.0.7/",
            "ftp://127.0.0.1/",
            "https://user:pw@example.com/",
            "http://127.0.0.1@example.com/",
        ] {
            assert!(check_url(bad).is_err(), "{bad}");
        }
    }
}
