//! Errors as `application/problem+json` (RFC 9457): the field, what was expected, and never a value.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use interdict_ingest::FieldError;
use serde::Serialize;
use utoipa::ToSchema;

/// A problem, as RFC 9457 has it, with `field` and `expected`.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Kind of problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What happened, for people.
    pub detail: String,
    /// The wrong field's path; absent where the whole is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// What was expected there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// Several problems of one body.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    pub errors: Vec<Problem>,
    /// With 429 and 503, in how many seconds to try again; a header.
    #[serde(skip)]
    pub retry_after_s: u64,
}

impl Problem {
    /// A problem without a field.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            field: None,
            expected: None,
            errors: Vec::new(),
            retry_after_s: 1,
        }
    }
    /// Several problems of one body: the first one's status, all of them told.
    pub fn all(errors: &[FieldError]) -> Problem {
        let mut problems: Vec<Problem> = errors.iter().map(Problem::from).collect();
        match problems.len() {
            1 => problems.remove(0),
            count => {
                let status = problems.first().map_or(StatusCode::UNPROCESSABLE_ENTITY.as_u16(), |p| p.status);
                let status = StatusCode::from_u16(status).expect("made from a status");
                Problem {
                    errors: problems,
                    ..Problem::new(status, format!("{count} errors; nothing was changed"))
                }
            }
        }
    }
}

impl From<&FieldError> for Problem {
    fn from(error: &FieldError) -> Problem {
        let status = StatusCode::from_u16(error.status.http()).expect("400, 413 or 422");
        Problem {
            field: Some(error.field.clone()).filter(|field| !field.is_empty()),
            expected: Some(error.expected.clone()),
            ..Problem::new(status, error.to_string())
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).expect("a problem always encodes");
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], body).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, self.retry_after_s.max(1).into());
        }
        response
    }
}
