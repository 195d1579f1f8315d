//! ListPartitionReassignments (key 46): a partition has one replica, so none is under way.

use duramen_wire::messages::ListPartitionReassignmentsResponse;

pub fn answer() -> ListPartitionReassignmentsResponse {
    ListPartitionReassignmentsResponse::default()
}
