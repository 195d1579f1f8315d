//! Slots with stable small numbers, reused after removal. The reactor keeps its tasks and operations in such slabs: the
//! number of a slot travels through the kernel and through wakers.

/// Values by slot number; numbers of removed values are handed out again, last freed first.
pub(super) struct Slab<T> {
    entries: Vec<Entry<T>>,
    next_free: Option<u32>,
    len: usize,
}

enum Entry<T> {
    Vacant(Option<u32>),
    Occupied(T),
}

impl<T> Slab<T> {
    pub fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity), next_free: None, len: 0 }
    }

    pub fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let Some(index) = self.next_free else {
            self.entries.push(Entry::Occupied(value));
            return u32::try_from(self.entries.len() - 1).expect("fewer than 2^32 slots");
        };
        let entry = &mut self.entries[index as usize];
        let Entry::Vacant(next) = *entry else { unreachable!("the free list names vacant slots only") };
        self.next_free = next;
        *entry = Entry::Occupied(value);
        index
    }

    pub fn remove(&mut self, index: u32) -> Option<T> {
        let entry = self.entries.get_mut(index as usize)?;
        if matches!(entry, Entry::Vacant(_)) {
            return None;
        }
        let Entry::Occupied(value) = std::mem::replace(entry, Entry::Vacant(self.next_free)) else {
            unreachable!("checked above")
        };
        self.next_free = Some(index);
        self.len -= 1;
        Some(value)
    }

    pub fn get(&self, index: u32) -> Option<&T> {
        match self.entries.get(index as usize) {
            Some(Entry::Occupied(value)) => Some(value),
            _ => None,
        }
    }

    pub fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        match self.entries.get_mut(index as usize) {
            Some(Entry::Occupied(value)) => Some(value),
            _ => None,
        }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    /// Slots in use or free; each number is below this.
    pub fn slots(&self) -> u32 {
        self.entries.len() as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_reused_and_others_stay() {
        let mut slab = Slab::with_capacity(2);
        let (a, b) = (slab.insert("a"), slab.insert("b"));
        assert_eq!(slab.remove(a), Some("a"));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.get(b), Some(&"b"));
        assert_eq!(slab.insert("c"), a);
        assert_eq!((slab.len(), slab.slots()), (2, 2));
    }
}
