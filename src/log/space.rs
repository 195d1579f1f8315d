//! Room in a file that is written round and round: the journal's and the ring's.
//!
//! Frames lie one after another; one that does not fit before the end goes to byte 0. Consecutive frames form a group,
//! and a group's room is free again when nobody holds the group any more: when every partition that has bytes in it has
//! brought them to a safer place. Groups, not frames, are counted, so that a partition holds a few numbers however many
//! small frames it has.

use std::collections::VecDeque;

/// Into how many groups the room is divided at least.
pub(super) const GROUPS_MIN: u64 = 16;

/// The room of one file.
#[derive(Debug)]
pub(super) struct Space {
    /// Bytes that may be used now; grows as the file is zeroed.
    usable: u64,
    /// Where the next frame goes if it fits.
    head: u64,
    groups: VecDeque<Group>,
    /// The number of the first group in `groups`.
    first: u64,
    group_len: u64,
}

#[derive(Debug)]
struct Group {
    start: u64,
    end: u64,
    holders: u32,
}

impl Space {
    /// Room of `len` bytes in the end, of which `usable` may be used now.
    pub fn new(usable: u64, len: u64) -> Self {
        Self { usable, head: 0, groups: VecDeque::new(), first: 0, group_len: len / GROUPS_MIN }
    }

    /// Allows bytes up to `usable`.
    pub fn grow(&mut self, usable: u64) {
        assert!(usable >= self.usable, "room that was given is not taken back");
        self.usable = usable;
    }

    pub fn usable(&self) -> u64 {
        self.usable
    }

    /// Where the next frame will go if there is room; for deciding when to grow.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// Finds room for a frame of `len` bytes: its position and its group. Whoever has bytes in it must `hold` the group
    /// before the next call. `None` while held groups are in the way.
    pub fn place(&mut self, len: u64) -> Option<(u64, u64)> {
        self.drop_free();
        let at = self.fit(len)?;
        let continues = self.groups.back().is_some_and(|group| group.end == at && at - group.start < self.group_len);
        if !continues {
            self.groups.push_back(Group { start: at, end: at, holders: 0 });
        }
        let last = self.groups.len() - 1;
        self.groups[last].end = at + len;
        self.head = at + len;
        Some((at, self.first + last as u64))
    }

    /// Keeps a group's room from being used again.
    pub fn hold(&mut self, group: u64) {
        self.group(group).holders += 1;
    }

    /// Ends one `hold`.
    pub fn release(&mut self, group: u64) {
        let group = self.group(group);
        group.holders = group.holders.checked_sub(1).expect("a group is released as often as it was held");
        self.drop_free();
    }

    /// The oldest group that is held.
    pub fn oldest(&self) -> Option<u64> {
        (!self.groups.is_empty()).then_some(self.first)
    }

    /// Bytes that cannot be used now.
    pub fn used(&self) -> u64 {
        match self.groups.front() {
            None => 0,
            Some(oldest) if self.head > oldest.start => self.head - oldest.start,
            Some(oldest) => self.usable - oldest.start + self.head,
        }
    }

    /// Whether so much is in use that holders should let go.
    pub fn is_pressed(&self) -> bool {
        self.used() * 2 >= self.usable
    }

    fn fit(&self, len: u64) -> Option<u64> {
        let tail = self.groups.front().map(|group| group.start);
        match tail {
            Some(tail) if self.head <= tail => (self.head + len <= tail).then_some(self.head),
            _ if self.head + len <= self.usable => Some(self.head),
            Some(tail) => (len <= tail).then_some(0),
            None => (len <= self.usable).then_some(0),
        }
    }

    fn drop_free(&mut self) {
        while self.groups.front().is_some_and(|group| group.holders == 0) {
            self.groups.pop_front();
            self.first += 1;
        }
    }

    fn group(&mut self, number: u64) -> &mut Group {
        let index = number.checked_sub(self.first).expect("a held group is not dropped");
        &mut self.groups[index as usize]
    }
}

/// The groups that one partition holds, each with the stream position up to which its bytes there reach.
#[derive(Debug, Default)]
pub(super) struct Holds(VecDeque<(u64, u64)>);

impl Holds {
    /// Bytes up to stream position `end` lie in `group`.
    pub fn add(&mut self, space: &mut Space, group: u64, end: u64) {
        match self.0.back_mut() {
            Some((last, last_end)) if *last == group => *last_end = end,
            _ => {
                space.hold(group);
                self.0.push_back((group, end));
            }
        }
    }

    /// Bytes up to stream position `end` are safe elsewhere.
    pub fn release_to(&mut self, space: &mut Space, end: u64) {
        while let Some((group, held_end)) = self.0.front().copied()
            && held_end <= end
        {
            space.release(group);
            self.0.pop_front();
        }
    }

    /// The oldest group held.
    pub fn oldest(&self) -> Option<u64> {
        self.0.front().map(|(group, _)| *group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever is placed, held and released: no two held frames overlap, and nothing lies outside.
        #[test]
        fn held_frames_never_overlap(steps in prop::collection::vec((1u64..400, 0usize..4), 1..200)) {
            let mut space = Space::new(500, 1000);
            let mut held: VecDeque<(u64, u64, u64)> = VecDeque::new();
            for (step, (len, release)) in steps.into_iter().enumerate() {
                if step == 20 {
                    space.grow(1000);
                }
                if let Some((at, group)) = space.place(len) {
                    prop_assert!(at + len <= space.usable());
                    for (start, end, _) in &held {
                        prop_assert!(at + len <= *start || at >= *end, "{at}+{len} meets {start}..{end}");
                    }
                    space.hold(group);
                    held.push_back((at, at + len, group));
                } else {
                    prop_assert!(!held.is_empty() || len > space.usable());
                }
                for _ in 0..release {
                    if let Some((_, _, group)) = held.pop_front() {
                        space.release(group);
                    }
                }
            }
        }
    }

    #[test]
    fn a_partition_holds_each_group_once() {
        let mut space = Space::new(1600, 1600);
        let mut holds = Holds::default();
        for end in 1..=4 {
            let (_, group) = space.place(50).unwrap();
            holds.add(&mut space, group, end * 10);
        }
        assert_eq!(holds.oldest(), Some(0));
        holds.release_to(&mut space, 19);
        assert_eq!(space.oldest(), Some(0));
        holds.release_to(&mut space, 20);
        assert_eq!(space.oldest(), Some(1));
        holds.release_to(&mut space, 40);
        assert_eq!(space.oldest(), None);
        assert_eq!(space.used(), 0);
    }
}
