//! DescribeAcls (key 29): there is no authorizer, and that is the answer, in Kafka's words.

use duramen_wire::messages::{DescribeAclsResponse, ResponseError, StrBytes};

pub fn answer() -> DescribeAclsResponse {
    DescribeAclsResponse::default()
        .with_error_code(ResponseError::SecurityDisabled.code())
        .with_error_message(Some(StrBytes::from_static_str("No Authorizer is configured.")))
}
