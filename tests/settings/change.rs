//! IncrementalAlterConfigs, for one setting.

use kafka_protocol::messages::IncrementalAlterConfigsRequest;
use kafka_protocol::messages::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_protocol::protocol::StrBytes;

use crate::bare::Client;

/// Whose setting it is.
pub enum Owner<'a> {
    Topic(&'a str),
    Broker,
    AllBrokers,
}

/// Sets a value, or takes it back.
#[track_caller]
pub fn change(client: &mut Client, owner: Owner<'_>, name: &str, value: Option<&str>) {
    const TOPIC: i8 = 2;
    const BROKER: i8 = 4;
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let (kind, owner) = match owner {
        Owner::Topic(name) => (TOPIC, text(name)),
        Owner::Broker => (BROKER, text("1")),
        Owner::AllBrokers => (BROKER, text("")),
    };
    let config = AlterableConfig::default()
        .with_name(text(name))
        .with_config_operation(i8::from(value.is_none()))
        .with_value(value.map(text));
    let resource =
        AlterConfigsResource::default().with_resource_type(kind).with_resource_name(owner).with_configs(vec![config]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = client.call(&request, 1).responses.remove(0);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
}
