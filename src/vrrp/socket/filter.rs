//! A filter in the kernel for the virtual routers of one socket: what is for none of them wakes nobody. Pure: it makes the
//! program of classic BPF (`linux/filter.h`); the socket attaches it.

use std::collections::BTreeSet;

/// One instruction: code, jump if true, jump if false, operand.
pub(super) type Instruction = (u16, u8, u8, u32);

/// `A = operand`
const LOAD: u16 = 0x00;
/// `A = length of the packet`
const LOAD_LENGTH: u16 = 0x80;
/// `A = byte at the operand`
const LOAD_BYTE: u16 = 0x30;
/// `A = byte at X + the operand`
const LOAD_BYTE_FROM: u16 = 0x50;
/// `X = 4 * (byte at the operand & 15)`: the length of an IPv4 header
const HEADER_LENGTH: u16 = 0xb1;
/// `A += X`, `A &= operand`, `A >>= operand`, `A >>= X`
const AND: u16 = 0x54;
const SHIFT: u16 = 0x74;
const SHIFT_BY_X: u16 = 0x7c;
/// `X = A`, `A = scratch`, `scratch = A`
const TO_X: u16 = 0x07;
const RECALL: u16 = 0x60;
const KEEP: u16 = 0x02;
/// Jumps: always, if equal, if greater.
const JUMP: u16 = 0x05;
const IF_EQUAL: u16 = 0x15;
const IF_GREATER: u16 = 0x25;
const RETURN: u16 = 0x06;
/// Everything of the packet, nothing of it.
const WHOLE: Instruction = (RETURN, 0, 0, u32::MAX);
const NOTHING: Instruction = (RETURN, 0, 0, 0);
/// Words of 32 virtual routers.
const WORDS: u8 = 8;
const IPV4_HEADER: u32 = 20;

/// The program for these virtual routers. `ahead` is what stands before the VRRP message, an authentication header; over
/// IPv4 the IP header comes before it, over IPv6 nothing does. What is too short to name a router passes: it is refused and
/// counted further up.
pub(super) fn program(vrids: &BTreeSet<u8>, ipv6: bool, ahead: u32) -> Vec<Instruction> {
    let at = ahead + 1;
    let mut program = vec![(LOAD_LENGTH, 0, 0, 0)];
    if ipv6 {
        program.extend([(IF_GREATER, 1, 0, at), WHOLE, (LOAD_BYTE, 0, 0, at)]);
    } else {
        // An option makes the header longer: a byte beyond the end then ends the program with nothing, so the length is
        // compared with the longest one that could be meant.
        program.extend([(IF_GREATER, 1, 0, IPV4_HEADER + at), WHOLE]);
        program.extend([(HEADER_LENGTH, 0, 0, 0), (LOAD_BYTE_FROM, 0, 0, at)]);
    }
    // The bit of this router in a table of eight words: which word by jumps, which bit by a shift.
    program.extend([(KEEP, 0, 0, 0), (AND, 0, 0, 31), (TO_X, 0, 0, 0), (RECALL, 0, 0, 0), (SHIFT, 0, 0, 5)]);
    for word in 0..WORDS {
        let bits = (0..32).filter(|bit| vrids.contains(&(word * 32 + bit)));
        let bits = bits.fold(0_u32, |bits, bit| bits | 1 << bit);
        // To the test after the last word: three instructions follow for each word that is left.
        let left = u32::from(WORDS - 1 - word) * 3;
        program.extend([(IF_EQUAL, 0, 2, u32::from(word)), (LOAD, 0, 0, bits), (JUMP, 0, 0, left)]);
    }
    program.extend([(SHIFT_BY_X, 0, 0, 0), (AND, 0, 0, 1), (IF_EQUAL, 0, 1, 1), WHOLE, NOTHING]);
    program
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The machine of `linux/filter.h`, as far as it is used here: how much of the packet passes.
    fn run(program: &[Instruction], packet: &[u8]) -> u32 {
        let (mut a, mut x, mut scratch, mut at) = (0_u32, 0_u32, 0_u32, 0_usize);
        let byte = |place: u32| packet.get(place as usize).map(|byte| u32::from(*byte));
        loop {
            let (code, yes, no, k) = program[at];
            at += 1;
            match code {
                LOAD => a = k,
                LOAD_LENGTH => a = packet.len() as u32,
                LOAD_BYTE => match byte(k) {
                    Some(found) => a = found,
                    None => return 0,
                },
                LOAD_BYTE_FROM => match byte(x + k) {
                    Some(found) => a = found,
                    None => return 0,
                },
                HEADER_LENGTH => x = byte(k).unwrap() % 16 * 4,
                AND => a &= k,
                SHIFT => a >>= k,
                SHIFT_BY_X => a >>= x,
                TO_X => x = a,
                RECALL => a = scratch,
                KEEP => scratch = a,
                JUMP => at += k as usize,
                IF_EQUAL => at += usize::from(if a == k { yes } else { no }),
                IF_GREATER => at += usize::from(if a > k { yes } else { no }),
                RETURN => return k,
                other => panic!("instruction {other}"),
            }
        }
    }

    proptest! {
        #[test]
        fn just_the_routers_of_the_socket_pass(
            vrids in prop::collection::btree_set(any::<u8>(), 0..256),
            ahead in prop_oneof![Just(0_u32), Just(24)],
            options in 0_u8..3,
        ) {
            for vrid in 0..=u8::MAX {
                let mut message = vec![0xee; ahead as usize];
                message.extend([0x21, vrid, 100, 1]);
                let expected = if vrids.contains(&vrid) { u32::MAX } else { 0 };
                prop_assert_eq!(run(&program(&vrids, true, ahead), &message), expected);
                let mut packet = vec![0xdd; 20 + usize::from(options) * 4];
                packet[0] = 0x45 + options;
                packet.extend(message);
                prop_assert_eq!(run(&program(&vrids, false, ahead), &packet), expected);
            }
        }

        #[test]
        fn any_bytes_end_the_program(bytes in prop::collection::vec(any::<u8>(), 20..80), ipv6: bool) {
            run(&program(&BTreeSet::from([51]), ipv6, 24), &bytes);
        }
    }

    #[test]
    fn what_names_no_router_passes() {
        let vrids = BTreeSet::from([51]);
        assert_eq!(run(&program(&vrids, false, 0), &[0x45; 21]), u32::MAX);
        assert_eq!(run(&program(&vrids, true, 0), &[0x21]), u32::MAX);
        assert_eq!(run(&program(&vrids, true, 24), &[0x21, 9, 9, 9]), u32::MAX);
    }
}
