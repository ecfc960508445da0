//! Numbers with bounds, some of them with units.

use crate::settings::value::Scalar;

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Whole<const MIN: u32, const MAX: u32>(u32);

/// A TCP port.
pub type Port = Whole<1, 65_535>;

impl<const MIN: u32, const MAX: u32> Whole<MIN, MAX> {
    /// The number; its unit is that of the setting.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Port {
    /// The port number as sockets use it.
    pub fn number(self) -> u16 {
        // The range of the type is within that of u16.
        u16::try_from(self.0).unwrap_or(u16::MAX)
    }
}

impl<const MIN: u32, const MAX: u32> Scalar for Whole<MIN, MAX> {
    const BARE: bool = true;

    fn kind() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(text: &str) -> Result<Self, String> {
        match digits(text).and_then(|number| u32::try_from(number).ok()) {
            Some(number) if (MIN..=MAX).contains(&number) => Ok(Self(number)),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

/// Parses decimal digits only. Signs are refused, and so are leading zeros, which some readers interpret as octal.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let octal = text.len() > 1 && text.starts_with('0');
    if plain && !octal {
        text.parse().ok()
    } else {
        None
    }
}

/// A factor from 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Factor(f64);

impl Factor {
    /// The factor as a number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Scalar for Factor {
    const BARE: bool = true;

    fn kind() -> String {
        "a number from 0 to 100".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let plain = text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'.');
        match text.parse::<f64>() {
            Ok(number) if plain && (0.0..=100.0).contains(&number) => Ok(Self(number)),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

const SIZE_UNITS: [(char, u64); 4] = [
    ('T', 1 << 40),
    ('G', 1 << 30),
    ('M', 1 << 20),
    ('K', 1 << 10),
];
const TIME_UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

/// A number of bytes from 1K to 1T; the units are powers of 1024.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u64);

impl Size {
    /// The size in bytes, from 1024 to 2⁴⁰.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

impl Scalar for Size {
    fn kind() -> String {
        "a size from 1K to 1T in units of 1024, such as 50M".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match with_unit(&text.to_ascii_uppercase(), &SIZE_UNITS) {
            Some(bytes) if (1 << 10..=1 << 40).contains(&bytes) => Ok(Self(bytes)),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        in_largest_unit(self.0, &SIZE_UNITS)
    }
}

/// The maximum size of an upload, from 1K to 2G. Synapse stores the length of media in a 32-bit integer
/// (`media_length`, full schema 72), and refuses a larger file only after the whole upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadSize(Size);

impl UploadSize {
    /// The size in bytes; 2G is the largest 32-bit integer, one byte less than 2 GiB.
    pub fn bytes(self) -> u64 {
        self.0.bytes().min(0x7fff_ffff)
    }
}

impl Scalar for UploadSize {
    fn kind() -> String {
        "a size from 1K to 2G in units of 1024, such as 50M; Synapse cannot store larger files"
            .to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match <Size as Scalar>::parse(text) {
            Ok(size) if size.bytes() <= 1 << 31 => Ok(Self(size)),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

/// A time from 1 second to 1 day; a number without a unit counts seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duration(u64);

impl Duration {
    /// The time in seconds, from 1 to 86,400.
    pub fn seconds(self) -> u64 {
        self.0
    }
}

impl Scalar for Duration {
    fn kind() -> String {
        "a time from 1s to 1d, such as 90s, 5m or 2h".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match with_unit(text, &TIME_UNITS) {
            Some(seconds) if (1..=86_400).contains(&seconds) => Ok(Self(seconds)),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        in_largest_unit(self.0, &TIME_UNITS)
    }
}

/// A duration in the format of Prometheus: whole numbers with units from years to milliseconds, as in 1y or 1h30m
/// (prometheus.io, configuration, `<duration>`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span(String);

impl Span {
    /// The duration as written, for Prometheus.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The duration in whole seconds; a year has 365 days, as in Prometheus.
    pub fn seconds(&self) -> u64 {
        self.milliseconds() / 1_000
    }

    fn milliseconds(&self) -> u64 {
        span(&self.0).unwrap_or(0)
    }
}

impl Scalar for Span {
    fn kind() -> String {
        "a time of at least 1s, such as 15s, 1h30m, 30d or 1y".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        // Users of the Docker image sometimes write seconds without a unit; Prometheus requires one.
        let text = if number {
            format!("{text}s")
        } else {
            text.to_owned()
        };
        match span(&text) {
            Some(milliseconds) if milliseconds >= 1_000 => Ok(Self(text)),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// The interval of Prometheus, from 1s to 2m. The rules compute rates over five minutes, for which Prometheus needs at
/// least two samples, also when one collection fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval(Span);

impl Interval {
    /// The interval as written, for Prometheus.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Scalar for Interval {
    fn kind() -> String {
        "a time from 1s to 2m, such as 15s; the rules need two samples in five minutes".to_owned()
    }

    fn parse(text: &str) -> Result<Self, String> {
        match <Span as Scalar>::parse(text) {
            Ok(span) if span.milliseconds() <= 120_000 => Ok(Self(span)),
            _ => Err(Self::expected()),
        }
    }

    fn show(&self) -> String {
        self.0.show()
    }
}

/// The milliseconds of a duration. Units come in descending order, each at most once.
fn span(text: &str) -> Option<u64> {
    const UNITS: [(&str, u64); 7] = [
        ("y", 31_536_000_000),
        ("w", 604_800_000),
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1_000),
        ("ms", 1),
    ];
    let (mut rest, mut total, mut units) = (text, 0u64, UNITS.iter());
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let after = &rest[end..];
        let letters = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let factor = units.find(|(unit, _)| *unit == &after[..letters])?.1;
        total = total.checked_add(digits(&rest[..end])?.checked_mul(factor)?)?;
        rest = &after[letters..];
    }
    Some(total)
}

fn with_unit(text: &str, units: &[(char, u64)]) -> Option<u64> {
    let unit = units.iter().find(|(letter, _)| text.ends_with(*letter));
    let (number, factor) = match unit {
        Some((letter, factor)) => (text.strip_suffix(*letter)?, *factor),
        None => (text, 1),
    };
    digits(number)?.checked_mul(factor)
}

fn in_largest_unit(number: u64, units: &[(char, u64)]) -> String {
    let fits = |(_, factor): &&(char, u64)| number.is_multiple_of(*factor);
    match units.iter().find(fits) {
        Some((letter, factor)) => format!("{}{letter}", number / factor),
        None => number.to_string(),
    }
}
