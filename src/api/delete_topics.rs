//! DeleteTopics (key 20): by name, and since version 6 by id too.

use duramen_wire::ids::TopicId;
use duramen_wire::messages::delete_topics_response::DeletableTopicResult;
use duramen_wire::messages::{DeleteTopicsRequest, DeleteTopicsResponse, ResponseError, StrBytes, TopicName};

use super::controller::{Failure, commit_within};
use super::{Caller, Context};
use crate::controller::{self, TopicDeleted, TopicSelector};

/// The first version that may say that deletion is switched off.
const SAYS_DISABLED_SINCE: i16 = 3;

/// A topic that was deleted.
struct Gone {
    id: TopicId,
    name: String,
}

pub async fn answer(context: &Context, caller: &Caller, request: DeleteTopicsRequest) -> DeleteTopicsResponse {
    let selectors = selectors(&request);
    let wanted: Vec<TopicSelector> = selectors.iter().flatten().cloned().collect();
    let count = wanted.len();
    let decided = commit_within(context, request.timeout_ms, move |decision| {
        let deleted = controller::delete_topics(decision, &wanted);
        let changes = deleted.iter().flatten().map(|deleted| deleted.clone().into()).collect();
        let name = |deleted: TopicDeleted| {
            let name = decision.image.topic(deleted.topic_id).map(|topic| topic.name.clone()).unwrap_or_default();
            Gone { id: deleted.topic_id, name }
        };
        let deleted: Vec<_> = deleted.into_iter().map(|deleted| deleted.map(name).map_err(Failure::from)).collect();
        (changes, deleted)
    });
    let decided = decided.await;
    let mut decided = decided.unwrap_or_else(|failure| (0..count).map(|_| Err(failure.clone())).collect()).into_iter();
    let responses = selectors.into_iter().enumerate().map(|(at, selector)| match selector {
        Err(failure) => {
            // Only entries that may be ambiguous are refused here, and the answer repeats them.
            let result = request.topics.get(at).map(|topic| {
                DeletableTopicResult::default().with_name(topic.name.clone()).with_topic_id(topic.topic_id)
            });
            refused(caller, result.unwrap_or_default(), &failure)
        }
        Ok(selector) => {
            let outcome = decided.next().expect("every topic was decided upon");
            result(caller, &selector, outcome)
        }
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

/// What the topics of a request are called by.
fn selectors(request: &DeleteTopicsRequest) -> Vec<Result<TopicSelector, Failure>> {
    let named = request.topic_names.iter().map(|name| Ok(TopicSelector::Name(name.to_string())));
    let either = request.topics.iter().map(|topic| match (&topic.name, topic.topic_id.is_nil()) {
        (Some(name), true) => Ok(TopicSelector::Name(name.to_string())),
        (None, false) => Ok(TopicSelector::Id(TopicId(topic.topic_id))),
        (Some(_), false) => {
            Err(Failure::new(ResponseError::InvalidRequest, "You may not specify both topic name and topic id."))
        }
        (None, true) => Err(Failure::new(ResponseError::InvalidRequest, "Neither topic name nor id were specified.")),
    });
    named.chain(either).collect()
}

fn result(caller: &Caller, selector: &TopicSelector, outcome: Result<Gone, Failure>) -> DeletableTopicResult {
    let name = |name: &str| Some(TopicName(StrBytes::from_string(name.to_string())));
    let result = match selector {
        TopicSelector::Name(asked) => DeletableTopicResult::default().with_name(name(asked)),
        TopicSelector::Id(id) => DeletableTopicResult::default().with_name(None).with_topic_id(id.0),
    };
    match outcome {
        Ok(gone) => result.with_name(name(&gone.name)).with_topic_id(gone.id.0),
        Err(failure) => refused(caller, result, &failure),
    }
}

fn refused(caller: &Caller, result: DeletableTopicResult, failure: &Failure) -> DeletableTopicResult {
    let disabled = failure.code == ResponseError::TopicDeletionDisabled.code();
    let code = match disabled && caller.version < SAYS_DISABLED_SINCE {
        true => ResponseError::InvalidRequest.code(),
        false => failure.code,
    };
    result.with_error_code(code).with_error_message(failure.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_wire::messages::delete_topics_request::DeleteTopicState;
    use uuid::Uuid;

    #[test]
    fn a_topic_is_named_by_exactly_one_of_name_and_id() {
        let state = |name: Option<&'static str>, id: u128| {
            DeleteTopicState::default()
                .with_name(name.map(|name| TopicName(StrBytes::from_static_str(name))))
                .with_topic_id(Uuid::from_u128(id))
        };
        let request = DeleteTopicsRequest::default().with_topics(vec![
            state(Some("a"), 0),
            state(None, 7),
            state(Some("a"), 7),
            state(None, 0),
        ]);
        let selectors = selectors(&request);
        assert_eq!(selectors[0], Ok(TopicSelector::Name("a".into())));
        assert_eq!(selectors[1], Ok(TopicSelector::Id(TopicId(Uuid::from_u128(7)))));
        for refused in &selectors[2..] {
            assert_eq!(refused.as_ref().expect_err("ambiguous").code, ResponseError::InvalidRequest.code());
        }
    }
}
