//! The size of a host: the quantities from which sizes of processes, pools and caches follow.

/// Bytes of one MiB.
pub const MIB: u64 = 1 << 20;
/// Bytes of one GiB.
pub const GIB: u64 = 1 << 30;

/// The size of a host. A quantity is 0 if it is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostSize {
    /// The number of processors that programs may use.
    pub processors: usize,
    /// The memory in bytes, as the kernel reports it (`MemTotal`, proc_meminfo(5)).
    pub memory: u64,
    /// The size of the file system with /var/lib in bytes, used and free parts together.
    pub disk: u64,
    /// The connections that PostgreSQL allows to roles other than its superuser; 0 without PostgreSQL as well.
    pub connections: u32,
}

impl HostSize {
    /// The memory rounded up to a step of an eighth of its power of two, but at least 512 MiB. The kernel keeps a part
    /// of the memory for itself, which depends on its version: a host of 4 GiB reports 3.8 GiB. So a new kernel changes
    /// no size, and neither does a host of the same kind.
    pub fn nominal_memory(&self) -> u64 {
        let step = (self.memory.next_power_of_two() / 8).max(512 * MIB);
        self.memory.next_multiple_of(step)
    }
}

/// An amount of memory as it is printed: GiB with up to one decimal from 1 GiB on, MiB below.
pub fn show_memory(bytes: u64) -> String {
    match bytes {
        GIB.. => {
            let tenths = (bytes * 10).div_ceil(GIB);
            match tenths % 10 {
                0 => format!("{} GiB", tenths / 10),
                part => format!("{}.{part} GiB", tenths / 10),
            }
        }
        _ => format!("{} MiB", bytes.div_ceil(MIB)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_rounded_up_to_what_the_host_was_sold_with() {
        // MemTotal of virtual machines with 1, 2, 4, 8, 16, 32 and 64 GiB, and of two kernels on the same host.
        for (mebibytes, nominal) in [
            (961, 1024),
            (1_966, 2_048),
            (3_834, 4_096),
            (3_912, 4_096),
            (7_763, 8_192),
            (15_617, 16_384),
            (31_812, 32_768),
            (64_215, 65_536),
        ] {
            let size = HostSize {
                memory: mebibytes * MIB,
                ..HostSize::default()
            };
            assert_eq!(size.nominal_memory(), nominal * MIB, "{mebibytes}");
        }
        assert_eq!(HostSize::default().nominal_memory(), 0);
    }

    #[test]
    fn memory_is_printed_in_the_larger_unit() {
        for (bytes, text) in [
            (712 * MIB, "712 MiB"),
            (GIB, "1 GiB"),
            (3 * GIB / 2, "1.5 GiB"),
            (1_918 * MIB, "1.9 GiB"),
        ] {
            assert_eq!(show_memory(bytes), text);
        }
    }
}
