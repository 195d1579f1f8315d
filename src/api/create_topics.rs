//! CreateTopics (key 19), and topics that are made because somebody uses them.

use std::collections::BTreeSet;

use duramen_wire::messages::create_topics_request::CreatableTopic;
use duramen_wire::messages::create_topics_response::{CreatableTopicConfigs, CreatableTopicResult};
use duramen_wire::messages::{CreateTopicsRequest, CreateTopicsResponse, ResponseError, StrBytes, TopicName};

use super::controller::{Failure, commit, commit_within, new_topic_id};
use super::{Caller, Context};
use crate::config;
use crate::controller::{self, Code, CreateTopic, TopicCreated};

/// The first version whose answer describes the new topic (KIP-525).
const DESCRIBES_SINCE: i16 = 5;

/// A topic as it was made, or would be.
struct Made {
    topic: TopicCreated,
    configs: Vec<config::Entry>,
}

pub async fn answer(context: &Context, caller: &Caller, request: CreateTopicsRequest) -> CreateTopicsResponse {
    let wanted: Vec<CreateTopic> = request.topics.iter().map(wanted).collect();
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let validate_only = request.validate_only;
    let decided = commit_within(context, request.timeout_ms, move |decision| {
        let decided: Vec<Result<Made, Failure>> = controller::create_topics(decision, &wanted)
            .into_iter()
            .map(|topic| Ok(describe(decision, topic?)))
            .collect();
        let changes = decided.iter().flatten().map(|made| made.topic.clone().into());
        (if validate_only { Vec::new() } else { changes.collect() }, decided)
    });
    let results = decided.await.unwrap_or_else(|failure| names.iter().map(|_| Err(failure.clone())).collect());
    // A name that was given twice is answered once.
    let mut answered = BTreeSet::new();
    let topics = names.iter().zip(results).filter(|(name, _)| answered.insert(name.as_str()));
    CreateTopicsResponse::default().with_topics(topics.map(|(name, made)| result(caller, name, made)).collect())
}

/// Makes a topic that somebody uses: one that a client named, where that is allowed, or `__consumer_offsets`, which the
/// first group needs. That it is there already is as good.
pub async fn on_first_use(context: &Context, name: &str) -> Result<(), ResponseError> {
    let (name, id) = (name.to_string(), new_topic_id());
    let decided = commit(&context.shard, move |decision| match controller::auto_create_topic(decision, &name, id) {
        Ok(topic) => (vec![topic.into()], Ok(())),
        Err(refusal) if refusal.code == Code::TopicAlreadyExists => (Vec::new(), Ok(())),
        Err(refusal) => (Vec::new(), Err(Failure::from(refusal))),
    });
    let decided = decided.await.and_then(|decided| decided);
    decided.map_err(|failure| super::errors::of_code(failure.code))
}

fn wanted(topic: &CreatableTopic) -> CreateTopic {
    CreateTopic {
        name: topic.name.to_string(),
        topic_id: new_topic_id(),
        partitions: topic.num_partitions,
        replication_factor: topic.replication_factor,
        assignments: topic
            .assignments
            .iter()
            .map(|one| (one.partition_index, one.broker_ids.iter().map(|broker| broker.0).collect()))
            .collect(),
        configs: topic
            .configs
            .iter()
            .map(|config| (config.name.to_string(), config.value.as_ref().map(ToString::to_string)))
            .collect(),
    }
}

fn describe(decision: &controller::Context<'_>, topic: TopicCreated) -> Made {
    let configs = config::describe_topic(&topic.configs, &decision.layers, None);
    Made { topic, configs }
}

fn result(caller: &Caller, name: &str, made: Result<Made, Failure>) -> CreatableTopicResult {
    let result = CreatableTopicResult::default()
        .with_name(TopicName(StrBytes::from_string(name.to_string())))
        .with_configs(Some(Vec::new()));
    let made = match made {
        Err(failure) => return result.with_error_code(failure.code).with_error_message(failure.text()),
        Ok(made) => made,
    };
    let result = result.with_error_message(None).with_topic_id(made.topic.topic_id.0);
    if caller.version < DESCRIBES_SINCE {
        return result;
    }
    result
        .with_num_partitions(i32::try_from(made.topic.partitions.len()).unwrap_or(i32::MAX))
        .with_replication_factor(1)
        .with_configs(Some(made.configs.into_iter().map(config).collect()))
}

fn config(entry: config::Entry) -> CreatableTopicConfigs {
    CreatableTopicConfigs::default()
        .with_name(StrBytes::from_string(entry.name))
        .with_value(entry.value.map(StrBytes::from_string))
        .with_read_only(entry.read_only)
        .with_config_source(entry.source as i8)
        .with_is_sensitive(entry.sensitive)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use crate::controller::PartitionPlacement;
    use duramen_wire::ids::{LeaderEpoch, ShardId};
    use duramen_wire::messages::{ApiKey, encode_response};

    fn made() -> Made {
        let placement = PartitionPlacement { shard: ShardId(0), leader_epoch: LeaderEpoch(0) };
        let topic = TopicCreated {
            topic_id: new_topic_id(),
            name: "t".into(),
            configs: Default::default(),
            partitions: vec![placement; 3],
        };
        let entry = config::Entry {
            name: "retention.ms".into(),
            value: Some("5".into()),
            read_only: true,
            is_default: false,
            source: Source::DynamicTopic,
            sensitive: true,
            synonyms: Vec::new(),
            kind: 5,
            documentation: None,
        };
        Made { topic, configs: vec![entry] }
    }

    #[test]
    fn no_version_is_given_what_it_cannot_carry() {
        for version in ApiKey::CreateTopics.versions() {
            let caller = Caller { client_id: String::new(), peer: ([127, 0, 0, 1], 1).into(), version };
            let failure = Failure::new(ResponseError::PolicyViolation, "no");
            let topics = vec![result(&caller, "t", Ok(made())), result(&caller, "u", Err(failure))];
            assert_eq!(topics[0].num_partitions, if version < DESCRIBES_SINCE { -1 } else { 3 });
            let response = CreateTopicsResponse::default().with_topics(topics);
            encode_response(&response.into(), version, 1, &mut Vec::new()).expect("every version");
        }
    }
}
