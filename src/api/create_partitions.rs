//! CreatePartitions (key 37).

use std::collections::BTreeSet;

use duramen_wire::messages::create_partitions_request::CreatePartitionsTopic;
use duramen_wire::messages::create_partitions_response::CreatePartitionsTopicResult;
use duramen_wire::messages::{CreatePartitionsRequest, CreatePartitionsResponse, StrBytes, TopicName};

use super::Context;
use super::controller::{Failure, commit_within};
use crate::controller::{self, CreatePartitions};

pub async fn answer(context: &Context, request: CreatePartitionsRequest) -> CreatePartitionsResponse {
    let wanted: Vec<CreatePartitions> = request.topics.iter().map(wanted).collect();
    let names: Vec<String> = wanted.iter().map(|topic| topic.name.clone()).collect();
    let validate_only = request.validate_only;
    let decided = commit_within(context, request.timeout_ms, move |decision| {
        let added = controller::create_partitions(decision, &wanted);
        let changes = added.iter().flatten().map(|added| added.clone().into());
        let changes = if validate_only { Vec::new() } else { changes.collect() };
        let outcomes: Vec<_> = added.into_iter().map(|added| added.map(drop).map_err(Failure::from)).collect();
        (changes, outcomes)
    });
    let outcomes = decided.await.unwrap_or_else(|failure| names.iter().map(|_| Err(failure.clone())).collect());
    // A name that was given twice is answered once.
    let mut answered = BTreeSet::new();
    let outcomes = names.iter().zip(outcomes).filter(|(name, _)| answered.insert(name.as_str()));
    let results = outcomes.map(|(name, outcome)| {
        let result = CreatePartitionsTopicResult::default()
            .with_name(TopicName(StrBytes::from_string(name.clone())))
            .with_error_message(None);
        match outcome {
            Ok(()) => result,
            Err(failure) => result.with_error_code(failure.code).with_error_message(failure.text()),
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn wanted(topic: &CreatePartitionsTopic) -> CreatePartitions {
    let assignments = topic.assignments.as_ref().map(|assignments| {
        assignments.iter().map(|one| one.broker_ids.iter().map(|broker| broker.0).collect()).collect()
    });
    CreatePartitions { name: topic.name.to_string(), count: topic.count, assignments }
}
