//! DescribeConfigs (key 32), from the metadata as this shard knows it.

use duramen_wire::messages::describe_configs_request::DescribeConfigsResource;
use duramen_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use duramen_wire::messages::{DescribeConfigsRequest, DescribeConfigsResponse, ResponseError, StrBytes};

use super::controller::Failure;
use super::resources::{self, known_name};
use super::{Caller, Context};
use crate::config::Entry;
use crate::controller;

/// The first version with types and documentation (KIP-569).
const DOCUMENTS_SINCE: i16 = 3;

/// What of a setting is asked for beside its value.
#[derive(Clone, Copy)]
struct Asked {
    synonyms: bool,
    types: bool,
    documentation: bool,
}

pub async fn answer(context: &Context, caller: &Caller, request: DescribeConfigsRequest) -> DescribeConfigsResponse {
    let types = caller.version >= DOCUMENTS_SINCE;
    let documentation = types && request.include_documentation;
    let asked = Asked { synonyms: request.include_synonyms, types, documentation };
    let mut results = Vec::new();
    for resource in request.resources {
        let described = describe(context, &resource);
        let result = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name);
        results.push(match described {
            Ok(entries) => result.with_configs(entries.into_iter().map(|entry| described_as(entry, asked)).collect()),
            Err(failure) => result.with_error_code(failure.code).with_error_message(failure.text()),
        });
        context.shard.reactor.yield_if_due().await;
    }
    DescribeConfigsResponse::default().with_results(results)
}

fn describe(context: &Context, resource: &DescribeConfigsResource) -> Result<Vec<Entry>, Failure> {
    let name = known_name(context, resource.resource_type, &resource.resource_name);
    let names = resource.configuration_keys.as_ref();
    let names: Option<Vec<String>> = names.map(|names| names.iter().map(ToString::to_string).collect());
    let broker = context.config();
    if resource.resource_type == resources::BROKER_LOGGER {
        return describe_loggers(&name, broker.node_id);
    }
    let image = context.shard.image.borrow();
    let layers = image.layers(&context.settings, broker.node_id);
    let decision = controller::Context { image: &image, broker: &broker, layers, loads: &[] };
    // Kafka takes an empty list for all, too.
    let names = names.as_deref().filter(|names| !names.is_empty());
    Ok(controller::describe_configs(&decision, resource.resource_type, &name, names)?)
}

/// There are no loggers that could be set while the broker runs.
fn describe_loggers(name: &str, node_id: i32) -> Result<Vec<Entry>, Failure> {
    let invalid = |message: String| Err(Failure::new(ResponseError::InvalidRequest, message));
    match name.parse::<i32>() {
        Ok(id) if id == node_id => Ok(Vec::new()),
        Ok(id) => invalid(format!("Unexpected broker id, expected {node_id} but received {id}")),
        Err(_) if name.is_empty() => invalid("Broker id must not be empty".to_string()),
        Err(_) => invalid(format!("Broker id must be an integer, but it is: {name}")),
    }
}

fn described_as(entry: Entry, asked: Asked) -> DescribeConfigsResourceResult {
    let synonyms = entry.synonyms.into_iter().filter(|_| asked.synonyms).map(|synonym| {
        DescribeConfigsSynonym::default()
            .with_name(StrBytes::from_string(synonym.name))
            .with_value(synonym.value.map(StrBytes::from_string))
            .with_source(synonym.source as i8)
    });
    let result = DescribeConfigsResourceResult::default()
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.sensitive)
        .with_synonyms(synonyms.collect())
        .with_documentation(entry.documentation.filter(|_| asked.documentation).map(StrBytes::from_static_str));
    if asked.types { result.with_config_type(entry.kind) } else { result }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_broker_has_loggers_and_it_has_none() {
        assert!(describe_loggers("1", 1).expect("this broker").is_empty());
        for (name, message) in [
            ("2", "Unexpected broker id, expected 1 but received 2"),
            ("", "Broker id must not be empty"),
            ("x", "Broker id must be an integer, but it is: x"),
        ] {
            assert_eq!(describe_loggers(name, 1).expect_err(name).message, message);
        }
    }
}
