//! Comparison whose time does not tell where the difference is.

use std::hint::black_box;

/// Whether `a` and `b` are equal; time depends on the lengths only.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    // black_box keeps the compiler from leaving the loop at the first difference.
    let difference = a.iter().zip(b).fold(0u8, |acc, (x, y)| black_box(acc | (x ^ y)));
    black_box(difference) == 0
}

#[cfg(test)]
mod tests {
    use super::constant_time_eq;

    #[test]
    fn every_single_bit_counts() {
        let a = [0x5au8; 16];
        assert!(constant_time_eq(&a, &a));
        for bit in 0..128 {
            let mut b = a;
            b[bit / 8] ^= 1 << (bit % 8);
            assert!(!constant_time_eq(&a, &b), "bit {bit}");
        }
    }

    #[test]
    fn lengths_count() {
        assert!(constant_time_eq(b"", b""));
        assert!(!constant_time_eq(b"a", b""));
        assert!(!constant_time_eq(b"a", b"aa"));
    }
}
