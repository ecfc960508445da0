//! The declaration of a text type.

/// Declares a text type that a predicate validates.
macro_rules! text {
    ($(#[$about:meta])* $Name:ident, $kind:literal, $is_right:path) => {
        $crate::settings::types::text::text! { $(#[$about])* $Name, $kind, $is_right, |_| None }
    };
    ($(#[$about:meta])* $Name:ident, $kind:literal, $is_right:path, $advice:expr) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $Name(String);

        impl $Name {
            /// The validated text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl crate::settings::value::Scalar for $Name {
            fn kind() -> String {
                $kind.to_owned()
            }

            fn parse(text: &str) -> Result<Self, String> {
                if $is_right(text) {
                    return Ok(Self(text.to_owned()));
                }
                let advice: fn(&str) -> Option<&'static str> = $advice;
                Err(match advice(text) {
                    Some(advice) => format!("{}; {advice}", Self::expected()),
                    None => Self::expected(),
                })
            }

            fn show(&self) -> String {
                self.0.clone()
            }
        }

        impl std::fmt::Display for $Name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(super) use text;
