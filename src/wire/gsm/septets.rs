//! Packing of septets into octets (TS 23.038 6.1.2.1): septet n begins at bit 7n, least significant bit first, after the fill
//! bits that bring the text behind a user data header to a septet boundary (TS 23.040 9.2.3.24).

/// Fill bits between a header of `header_len` octets, its length octet included, and the first septet.
pub const fn fill_bits(header_len: usize) -> usize {
    (7 - header_len * 8 % 7) % 7
}

/// Octets that `septets` take behind `fill` bits.
pub const fn packed_len(septets: usize, fill: usize) -> usize {
    (septets * 7 + fill).div_ceil(8)
}

/// Appends `septets` to `out`, packed behind `fill` bits that are 0; the spare bits of the last octet are 0 too.
pub fn pack(septets: &[u8], fill: usize, out: &mut Vec<u8>) {
    let (mut pending, mut bits) = (0u32, fill);
    for &septet in septets {
        pending |= u32::from(septet & 0x7f) << bits;
        bits += 7;
        if bits >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            bits -= 8;
        }
    }
    if bits > 0 {
        out.push(pending as u8);
    }
}

/// The septets in `octets` behind `fill` bits: `count` of them, or as many as are whole.
pub fn unpack(octets: &[u8], fill: usize, count: usize) -> impl Iterator<Item = u8> + Clone + '_ {
    let whole = (octets.len() * 8).saturating_sub(fill) / 7;
    (0..count.min(whole)).map(move |n| {
        let (at, shift) = ((fill + n * 7) / 8, (fill + n * 7) % 8);
        let next = octets.get(at + 1).copied().unwrap_or(0);
        (u16::from_le_bytes([octets[at], next]) >> shift) as u8 & 0x7f
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_unpacked_whatever_the_count_and_the_fill_bits() {
        for fill in 0..7 {
            for count in 0..=160usize {
                let septets: Vec<u8> = (0..count).map(|n| (n * 37 + fill) as u8 & 0x7f).collect();
                let mut octets = Vec::new();
                pack(&septets, fill, &mut octets);
                assert_eq!(octets.len(), packed_len(count, fill), "{count} septets, {fill} fill bits");
                assert_eq!(unpack(&octets, fill, count).collect::<Vec<_>>(), septets);
            }
        }
    }

    #[test]
    fn too_few_octets_give_the_whole_septets() {
        assert_eq!(unpack(&[0xff], 0, 9).collect::<Vec<_>>(), [0x7f]);
        assert_eq!(unpack(&[0xff], 2, 9).count(), 0);
        assert_eq!(unpack(&[], 6, 9).count(), 0);
    }

    #[test]
    fn fill_bits_bring_the_header_to_a_septet_boundary() {
        for header_len in 0..=140 {
            assert_eq!((header_len * 8 + fill_bits(header_len)) % 7, 0, "{header_len}");
        }
    }
}
