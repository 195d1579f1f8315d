//! The list of what is offered, and of what is without effect, is what the broker says of itself.

use duramen_wire::api::ApiKey;
use kafka_protocol::messages::DescribeConfigsRequest;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;

use crate::broker::{is_other, shared};
use crate::configs::{BROKER, TOPIC};
use crate::requests::{describe, topic};
use crate::wire::text;

const COMPATIBILITY: &str = include_str!("../../docs/COMPATIBILITY.md");

#[test]
fn each_api_stands_in_the_table() {
    for api in ApiKey::ALL {
        let versions = api.versions();
        let row = format!("| {} | {} | {}-{} |", *api as i16, api, versions.start(), versions.end());
        assert!(COMPATIBILITY.contains(&row), "missing in docs/COMPATIBILITY.md: {row}");
    }
}

#[test]
fn each_setting_without_effect_is_named() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let node = describe(&mut client, &topic).partitions[0].leader_id.0.to_string();
    let mut without = 0;
    for (kind, name) in [(BROKER, node), (TOPIC, topic)] {
        let resource = DescribeConfigsResource::default()
            .with_resource_type(kind)
            .with_resource_name(text(&name))
            .with_configuration_keys(None);
        let request = DescribeConfigsRequest::default().with_resources(vec![resource]).with_include_documentation(true);
        for config in client.call(4, &request).results.remove(0).configs {
            if config.documentation.as_deref().is_some_and(|text| text.starts_with("Without effect")) {
                without += 1;
                let name = format!("`{}`", &*config.name);
                assert!(COMPATIBILITY.contains(&name), "missing in docs/COMPATIBILITY.md: {name}");
            }
        }
    }
    assert!(without > 200, "{without}");
}
