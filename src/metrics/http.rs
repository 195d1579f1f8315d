//! As much of HTTP/1.1 as a scrape needs: the head of a GET request, and a response that ends the connection.

/// Longest request head that is read, in bytes.
pub const HEAD_MAX: usize = 8 << 10;

/// What has arrived so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Head {
    /// The empty line behind the head has not come yet.
    Partial,
    /// A GET of this path, without its query.
    Get(String),
    /// A request for what is not offered.
    Refused(Status),
}

/// How a request is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    HeadTooLarge,
    Unavailable,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Status::Ok => "200 OK",
            Status::BadRequest => "400 Bad Request",
            Status::NotFound => "404 Not Found",
            Status::MethodNotAllowed => "405 Method Not Allowed\r\nAllow: GET",
            Status::HeadTooLarge => "431 Request Header Fields Too Large",
            Status::Unavailable => "503 Service Unavailable",
        }
    }
}

/// Looks at the bytes of a request.
pub fn parse(bytes: &[u8]) -> Head {
    let ended =
        bytes.windows(4).any(|window| window == b"\r\n\r\n") || bytes.windows(2).any(|window| window == b"\n\n");
    if !ended {
        return if bytes.len() >= HEAD_MAX { Head::Refused(Status::HeadTooLarge) } else { Head::Partial };
    }
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return Head::Refused(Status::BadRequest) };
    let mut words = line.trim_end().split(' ');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some("GET"), Some(target), Some(version), None) if version.starts_with("HTTP/1.") => {
            Head::Get(target.split('?').next().unwrap_or_default().to_string())
        }
        (Some(_), Some(_), Some(version), None) if version.starts_with("HTTP/1.") => {
            Head::Refused(Status::MethodNotAllowed)
        }
        _ => Head::Refused(Status::BadRequest),
    }
}

/// The head of a response with a body of `length` bytes.
pub fn response_head(status: Status, content_type: &str, length: usize) -> String {
    let line = status.line();
    format!("HTTP/1.1 {line}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_get_is_understood_once_it_is_whole() {
        let whole = b"GET /metrics?now=1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), Head::Partial, "{end}");
        }
        assert_eq!(parse(whole), Head::Get("/metrics".into()));
        assert_eq!(parse(b"GET / HTTP/1.0\n\n"), Head::Get("/".into()));
    }

    #[test]
    fn the_rest_is_refused() {
        assert_eq!(parse(b"POST /metrics HTTP/1.1\r\n\r\n"), Head::Refused(Status::MethodNotAllowed));
        assert_eq!(parse(b"\x16\x03\x01\r\n\r\n"), Head::Refused(Status::BadRequest));
        assert_eq!(parse(b"\xff\xfe x HTTP/1.1\r\n\r\n"), Head::Refused(Status::BadRequest));
        assert_eq!(parse(b"GET /metrics\r\n\r\n"), Head::Refused(Status::BadRequest));
        assert_eq!(parse(&[b'a'; HEAD_MAX]), Head::Refused(Status::HeadTooLarge));
    }

    #[test]
    fn a_response_names_its_length() {
        let head = response_head(Status::NotFound, "text/plain", 3);
        assert!(head.starts_with("HTTP/1.1 404 Not Found\r\n") && head.contains("Content-Length: 3\r\n"), "{head}");
        assert!(head.ends_with("\r\n\r\n"));
    }
}
