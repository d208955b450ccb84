//! What many have alike, and is kept once: of ten thousand servers that a file describes in the same words, each would
//! otherwise have a copy of all that these words mean.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

/// A value that others may have, too. Reading goes through to it; whoever writes gets a copy of their own first. Equal
/// ones are equal wherever they are kept.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Common<T>(Arc<T>);

// Not derived: that would ask for values that can be copied.
impl<T> Clone for Common<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> From<T> for Common<T> {
    fn from(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T> Deref for Common<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Clone> DerefMut for Common<T> {
    fn deref_mut(&mut self) -> &mut T {
        Arc::make_mut(&mut self.0)
    }
}

/// So many different values are remembered. Files repeat what stands near: a farm's servers follow each other, and what
/// differs from all of these differs from everything, mostly.
const REMEMBERED: usize = 16;

/// Finds the equal one among the values that were kept last.
#[derive(Debug)]
pub struct Pool<T>(RefCell<VecDeque<Common<T>>>);

// Not derived: that would ask for values with a default.
impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<T: PartialEq> Pool<T> {
    /// The value, kept with an equal one where there is one.
    pub fn keep(&self, value: T) -> Common<T> {
        let mut known = self.0.borrow_mut();
        if let Some(at) = known.iter().position(|known| **known == value) {
            // The most used stay: they are found at once, and never fall off the end.
            known.swap(0, at);
            if let Some(first) = known.front() {
                return first.clone();
            }
        }
        let kept = Common::from(value);
        known.truncate(REMEMBERED - 1);
        known.push_front(kept.clone());
        kept
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_same<T>(a: &Common<T>, b: &Common<T>) -> bool {
        Arc::ptr_eq(&a.0, &b.0)
    }

    #[test]
    fn equal_ones_are_kept_once_and_writing_parts_them() {
        let pool = Pool::default();
        let (a, mut b, c) = (pool.keep(1), pool.keep(1), pool.keep(2));
        assert!(is_same(&a, &b) && !is_same(&a, &c));
        *b += 1;
        assert_eq!((*a, *b), (1, 2));
        assert!(b == c && !is_same(&b, &c), "equal wherever they are kept");
    }

    #[test]
    fn what_is_used_is_remembered() {
        let pool = Pool::default();
        let first = pool.keep(0);
        for other in 1..1000 {
            pool.keep(other);
            assert!(is_same(&pool.keep(0), &first), "after {other} others");
        }
        assert_eq!(pool.0.borrow().len(), REMEMBERED);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_given(values in prop::collection::vec(0u8..40, 0..200)) {
            let pool = Pool::default();
            let kept: Vec<u8> = values.iter().map(|value| *pool.keep(*value)).collect();
            prop_assert_eq!(kept, values);
            prop_assert!(pool.0.borrow().len() <= REMEMBERED);
        }
    }
}
