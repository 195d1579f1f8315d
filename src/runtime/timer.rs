//! The shard's deadlines: a binary heap whose entries can be removed anywhere, so that a timeout that never fires leaves
//! nothing behind. Setting and removing a timer allocates only while the number of timers is at a new high.

use std::task::Waker;
use std::time::Instant;

use super::slab::Slab;

/// Deadlines with the wakers that wait for them.
pub(super) struct Timers {
    /// Slot numbers in heap order by deadline.
    heap: Vec<u32>,
    slots: Slab<Slot>,
}

struct Slot {
    deadline: Instant,
    /// Where the slot stands in the heap.
    position: usize,
    waker: Waker,
}

impl Timers {
    pub fn new() -> Self {
        Self { heap: Vec::with_capacity(64), slots: Slab::with_capacity(64) }
    }

    pub fn insert(&mut self, deadline: Instant, waker: Waker) -> u32 {
        let slot = self.slots.insert(Slot { deadline, position: self.heap.len(), waker });
        self.heap.push(slot);
        self.sift_up(self.heap.len() - 1);
        slot
    }

    /// Takes a timer out. The caller knows that it has neither fired nor been removed.
    pub fn remove(&mut self, slot: u32) -> Waker {
        let removed = self.slots.remove(slot).expect("a timer is removed once");
        let last = self.heap.len() - 1;
        self.heap.swap_remove(removed.position);
        if removed.position < last {
            self.place(removed.position);
            self.sift_up(removed.position);
            self.sift_down(removed.position);
        }
        removed.waker
    }

    pub fn waker_mut(&mut self, slot: u32) -> Option<&mut Waker> {
        self.slots.get_mut(slot).map(|slot| &mut slot.waker)
    }

    pub fn next_deadline(&self) -> Option<Instant> {
        self.heap.first().map(|slot| self.deadline(*slot))
    }

    /// The earliest timer if it is due, with its number.
    pub fn pop_due(&mut self, now: Instant) -> Option<(u32, Waker)> {
        let slot = *self.heap.first()?;
        (self.deadline(slot) <= now).then(|| (slot, self.remove(slot)))
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }

    fn deadline(&self, slot: u32) -> Instant {
        self.slots.get(slot).expect("the heap names occupied slots only").deadline
    }

    /// Notes in the slot at `position` where it stands.
    fn place(&mut self, position: usize) {
        let slot = self.heap[position];
        self.slots.get_mut(slot).expect("the heap names occupied slots only").position = position;
    }

    fn swap(&mut self, a: usize, b: usize) {
        self.heap.swap(a, b);
        self.place(a);
        self.place(b);
    }

    fn sift_up(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / 2;
            if self.deadline(self.heap[parent]) <= self.deadline(self.heap[position]) {
                return;
            }
            self.swap(parent, position);
            position = parent;
        }
    }

    fn sift_down(&mut self, mut position: usize) {
        loop {
            let earliest = [position, 2 * position + 1, 2 * position + 2]
                .into_iter()
                .filter(|candidate| *candidate < self.heap.len())
                .min_by_key(|candidate| self.deadline(self.heap[*candidate]));
            match earliest {
                Some(child) if child != position => {
                    self.swap(position, child);
                    position = child;
                }
                _ => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fires_in_order_and_forgets_what_was_removed(steps in prop::collection::vec((0_u64..50, 0_u8..4), 1..200)) {
            let start = Instant::now();
            let mut timers = Timers::new();
            let mut model: BTreeMap<u32, u64> = BTreeMap::new();
            for (value, kind) in steps {
                match kind {
                    0 | 1 => {
                        let slot = timers.insert(start + Duration::from_millis(value), Waker::noop().clone());
                        prop_assert!(model.insert(slot, value).is_none());
                    }
                    2 => {
                        let candidate = model.keys().nth(value as usize % model.len().max(1)).copied();
                        if let Some(slot) = candidate {
                            model.remove(&slot);
                            timers.remove(slot);
                        }
                    }
                    _ => {
                        let now = start + Duration::from_millis(value);
                        let mut last = None;
                        while let Some((slot, _)) = timers.pop_due(now) {
                            let due = model.remove(&slot).unwrap();
                            prop_assert!(due <= value && last <= Some(due));
                            last = Some(due);
                        }
                        prop_assert!(model.values().all(|due| *due > value));
                    }
                }
                prop_assert_eq!(timers.len(), model.len());
                let next = model.values().min().map(|due| start + Duration::from_millis(*due));
                prop_assert_eq!(timers.next_deadline(), next);
            }
        }
    }
}
