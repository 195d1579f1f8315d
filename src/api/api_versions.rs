//! ApiVersions (key 18): what is offered. It is the first thing that a client asks, so it is answered in every case.

use duramen_wire::messages::api_versions_response::ApiVersion;
use duramen_wire::messages::{ApiKey, ApiVersionsRequest, ApiVersionsResponse, ResponseError};

use super::{Caller, Context};

pub fn answer(_context: &Context, caller: &Caller, request: &ApiVersionsRequest) -> ApiVersionsResponse {
    // From version 3 on a client says who it is, and Kafka insists on sensible words.
    let named = is_software_name(&request.client_software_name) && is_software_name(&request.client_software_version);
    if caller.version >= 3 && !named {
        return ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code());
    }
    ApiVersionsResponse::default().with_api_keys(ApiKey::ALL.iter().map(|api| range(*api)).collect())
}

/// The answer to a version that is not offered: error 35 and the range of this API itself.
pub fn unsupported() -> ApiVersionsResponse {
    ApiVersionsResponse::default()
        .with_error_code(ResponseError::UnsupportedVersion.code())
        .with_api_keys(vec![range(ApiKey::ApiVersions)])
}

fn range(api: ApiKey) -> ApiVersion {
    let versions = api.versions();
    ApiVersion::default().with_api_key(api as i16).with_min_version(*versions.start()).with_max_version(*versions.end())
}

/// KIP-511: letters and digits, with dots and dashes within.
fn is_software_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric))
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
}
