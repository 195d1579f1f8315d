//! InitProducerId (key 22): ids for idempotent producers (KIP-98). Each shard gives them out from a block of its own, which
//! was made durable before its first id is used.

use duramen_wire::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId, ResponseError};

use super::Context;
use super::controller::{Failure, commit};
use crate::controller::{self, ProducerIdBlock};

const NO_PRODUCER: i64 = -1;
const NO_EPOCH: i16 = -1;

/// What a shard has left of its block.
#[derive(Debug, Default)]
pub struct ProducerIds(Option<ProducerIdBlock>);

impl ProducerIds {
    fn take(&mut self) -> Option<i64> {
        let block = self.0.as_mut().filter(|block| block.first < block.end)?;
        block.first += 1;
        Some(block.first - 1)
    }

    /// Takes a new block up, unless another has come in the meantime: ids are never short, so the rest of one is lost.
    fn refill(&mut self, block: ProducerIdBlock) {
        if self.0.is_none_or(|left| left.first >= left.end) {
            self.0 = Some(block);
        }
    }
}

pub async fn answer(context: &Context, request: InitProducerIdRequest) -> InitProducerIdResponse {
    match producer_id(context, &request).await {
        Ok(id) => InitProducerIdResponse::default().with_producer_id(ProducerId(id)).with_producer_epoch(0),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(code)
            .with_producer_id(ProducerId(NO_PRODUCER))
            .with_producer_epoch(NO_EPOCH),
    }
}

async fn producer_id(context: &Context, request: &InitProducerIdRequest) -> Result<i64, i16> {
    check(request).map_err(|error| error.code())?;
    if let Some(id) = context.producer_ids.borrow_mut().take() {
        return Ok(id);
    }
    let block = commit(&context.shard, |decision| match controller::allocate_producer_ids(decision.image) {
        Ok((block, change)) => (vec![change.into()], Ok(block)),
        Err(refusal) => (Vec::new(), Err(Failure::from(refusal))),
    });
    let mut block = block.await.and_then(|block| block).map_err(|failure| failure.code)?;
    let id = block.first;
    block.first += 1;
    context.producer_ids.borrow_mut().refill(block);
    Ok(id)
}

/// A producer that has lost its place asks with the id and epoch it had (KIP-360); without transactions it gets a new id.
fn check(request: &InitProducerIdRequest) -> Result<(), ResponseError> {
    match &request.transactional_id {
        Some(id) if id.is_empty() => Err(ResponseError::InvalidRequest),
        // Transactions are not offered. Clients retry most errors for minutes; this one is fatal to Java's producer and
        // to librdkafka's at once, so that whoever tries learns it at the first call.
        Some(_) => Err(ResponseError::TransactionalIdAuthorizationFailed),
        None if (request.producer_id.0 == NO_PRODUCER) != (request.producer_epoch == NO_EPOCH) => {
            Err(ResponseError::InvalidRequest)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use duramen_wire::messages::{StrBytes, TransactionalId};

    #[test]
    fn ids_come_from_one_block_after_the_other() {
        let mut ids = ProducerIds::default();
        assert_eq!(ids.take(), None);
        ids.refill(ProducerIdBlock { first: 5, end: 7 });
        ids.refill(ProducerIdBlock { first: 9, end: 12 });
        assert_eq!([ids.take(), ids.take(), ids.take()], [Some(5), Some(6), None]);
        ids.refill(ProducerIdBlock { first: 12, end: 14 });
        assert_eq!(ids.take(), Some(12));
    }

    #[test]
    fn transactions_fail_for_good_and_half_a_producer_is_no_request() {
        let request = InitProducerIdRequest::default;
        let with_id = |id| request().with_transactional_id(Some(TransactionalId(StrBytes::from_static_str(id))));
        assert_eq!(check(&request().with_transactional_id(None)), Ok(()));
        assert_eq!(check(&with_id("t")), Err(ResponseError::TransactionalIdAuthorizationFailed));
        assert_eq!(check(&with_id("")), Err(ResponseError::InvalidRequest));
        let half = request().with_transactional_id(None).with_producer_epoch(3);
        assert_eq!(check(&half), Err(ResponseError::InvalidRequest));
        assert_eq!(check(&half.with_producer_id(ProducerId(8))), Ok(()));
    }
}
