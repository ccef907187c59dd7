//! How much of a file is kept: a hostile one can say a lot in few bytes (names that overlap, types
//! that repeat, records of no bits), so all that is remembered of it is counted.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What may be kept of one file that a user names, however many libraries are in it. All kernels
/// of MLX with their arguments take a fifth of it.
const MOST: usize = 192 << 20;

/// What is left.
#[derive(Debug)]
pub struct Room {
    left: AtomicUsize,
}

impl Default for Room {
    /// Room for what is known of one file.
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Room {
    /// Room of that many bytes.
    pub fn of(bytes: usize) -> Self {
        Room {
            left: AtomicUsize::new(bytes),
        }
    }

    /// Takes that many bytes, or says that they are too many.
    pub fn take(&self, bytes: usize) -> Result<(), String> {
        let less = |left: usize| left.checked_sub(bytes);
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        match taken {
            Ok(_) => Ok(()),
            Err(_) => Err("it says more than any build of MLX: it is damaged".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_given_than_there_is() {
        let room = Room::of(10);
        assert!(room.take(4).is_ok());
        assert!(room.take(usize::MAX).is_err());
        assert!(room.take(7).is_err());
        assert!(room.take(6).is_ok());
        assert!(room.take(1).is_err());
    }
}
