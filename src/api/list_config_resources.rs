//! ListConfigResources (key 74): what has settings (KIP-1142). Version 0 lists subscriptions to client metrics alone.

use std::collections::BTreeSet;

use duramen_wire::messages::list_config_resources_response::ConfigResource;
use duramen_wire::messages::{ListConfigResourcesRequest, ListConfigResourcesResponse, ResponseError, StrBytes};

use super::resources::{BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP, TOPIC};
use super::{Caller, Context};
use crate::controller::{Image, Owner};

const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];

pub fn answer(context: &Context, caller: &Caller, request: &ListConfigResourcesRequest) -> ListConfigResourcesResponse {
    let asked: BTreeSet<i8> = match request.resource_types.as_slice() {
        _ if caller.version == 0 => BTreeSet::from([CLIENT_METRICS]),
        [] => ALL.into(),
        types => types.iter().copied().collect(),
    };
    if asked.iter().any(|resource_type| !ALL.contains(resource_type)) {
        return ListConfigResourcesResponse::default().with_error_code(ResponseError::UnsupportedVersion.code());
    }
    let image = context.shard.image.borrow();
    let nodes: Vec<i32> = context.nodes().iter().map(|node| node.id).collect();
    let resources = asked.into_iter().flat_map(|resource_type| {
        names(&image, &nodes, resource_type).into_iter().map(move |name| {
            ConfigResource::default().with_resource_name(StrBytes::from_string(name)).with_resource_type(resource_type)
        })
    });
    ListConfigResourcesResponse::default().with_config_resources(resources.collect())
}

/// The names of one type of resource, in order.
fn names(image: &Image, nodes: &[i32], resource_type: i8) -> Vec<String> {
    let owners = |name: fn(&Owner) -> Option<&String>| image.config_owners().filter_map(name).cloned().collect();
    match resource_type {
        TOPIC => image.topics().map(|topic| topic.name.clone()).collect(),
        BROKER | BROKER_LOGGER => nodes.iter().map(ToString::to_string).collect(),
        CLIENT_METRICS => owners(|owner| match owner {
            Owner::ClientMetrics(name) => Some(name),
            _ => None,
        }),
        GROUP => owners(|owner| match owner {
            Owner::Group(name) => Some(name),
            _ => None,
        }),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::OwnerConfigsChanged;

    #[test]
    fn each_type_has_its_own_names() {
        let mut image = Image::new();
        for owner in [Owner::Group("g".into()), Owner::ClientMetrics("m".into()), Owner::Cluster] {
            let configs = [("k".to_string(), "v".to_string())].into();
            image.apply(&OwnerConfigsChanged { owner, configs }.into()).expect("any owner");
        }
        assert_eq!(names(&image, &[1], GROUP), ["g"]);
        assert_eq!(names(&image, &[1], CLIENT_METRICS), ["m"]);
        assert_eq!(names(&image, &[3, 4], BROKER), ["3", "4"]);
        assert!(names(&image, &[1], TOPIC).is_empty());
    }
}
