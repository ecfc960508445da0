//! How other homeservers and clients reach this server, by the specification of Matrix: the questions, and the checks of
//! the answers. The program asks them in [`crate::host::reach`].

mod addresses;
mod answer;
mod finding;
mod gathered;
mod place;
mod question;
mod signature;
mod steps;
mod target;

pub use addresses::Addresses;
pub use answer::{Answer, Kind, Trouble};
pub use finding::{Fault, Finding, Mark, Verdict};
pub use gathered::{Exchange, Gathered};
pub use place::{Place, Service, places, services};
pub use question::{Purpose, Question};
pub use steps::findings;
pub use target::{Certificate, Target};
