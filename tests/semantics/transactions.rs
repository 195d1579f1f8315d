//! Until there are transactions, whoever asks for them learns it at once, by an error that clients do not retry.

use duramen_wire::batch::BatchBuilder;
use duramen_wire::ids::{ProducerEpoch, ProducerId};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{FindCoordinatorRequest, InitProducerIdRequest, TransactionalId};

use crate::broker::{is_other, shared};
use crate::requests::*;
use crate::wire::text;

const TRANSACTION: i8 = 1;

#[test]
fn init_producer_id_refuses_a_transactional_id() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    for version in 0..=5 {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text("t"))))
            .with_transaction_timeout_ms(60_000);
        let response = client.call(version, &request);
        assert_eq!(error(response.error_code), Some(ResponseError::TransactionalIdAuthorizationFailed));
        assert_eq!((response.producer_id.0, response.producer_epoch), (-1, -1));
    }
}

#[test]
fn find_coordinator_refuses_a_transactional_id() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let request = FindCoordinatorRequest::default().with_key_type(TRANSACTION);
    for version in 1..=3 {
        let response = client.call(version, &request.clone().with_key(text("t")));
        assert_eq!(error(response.error_code), Some(ResponseError::TransactionalIdAuthorizationFailed));
    }
    for version in 4..=6 {
        let response = client.call(version, &request.clone().with_coordinator_keys(vec![text("t")]));
        let code = response.coordinators[0].error_code;
        assert_eq!(error(code), Some(ResponseError::TransactionalIdAuthorizationFailed));
    }
}

#[test]
fn an_empty_transactional_id_is_an_invalid_request() {
    let broker = shared();
    let mut client = broker.connect();
    let request = InitProducerIdRequest::default().with_transactional_id(Some(TransactionalId(text(""))));
    assert_eq!(error(client.call(4, &request).error_code), Some(ResponseError::InvalidRequest));
}

#[test]
fn a_transactional_batch_is_an_invalid_transaction_state() {
    if is_other() {
        return;
    }
    let broker = shared();
    let mut client = broker.connect();
    let topic = topic(&mut client);
    let (id, epoch) = producer(&mut client);
    let builder = BatchBuilder::new().producer(ProducerId(id), ProducerEpoch(epoch), 0).transactional();
    let mut request = produce_request(-1, &topic, 0, Some(fill(builder, 1)));
    request.transactional_id = Some(TransactionalId(text("t")));
    let response = client.call(PRODUCE, &request);
    let code = response.responses[0].partition_responses[0].error_code;
    assert_eq!(error(code), Some(ResponseError::InvalidTxnState));
    assert_eq!(append(&mut client, &topic, batch(1)), 0);
}
