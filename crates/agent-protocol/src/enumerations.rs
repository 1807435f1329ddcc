//! Enumerations of the protocol; on the wire they are integers (agent-protocol reference, section 3).

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::reading;

/// An enumeration that is an integer on the wire; a value without a name reads as `Unknown`.
macro_rules! wire_enumeration {
    ($(#[$about:meta])* $name:ident { $($(#[$note:meta])* $variant:ident = $value:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
        pub enum $name {
            /// 0: not said, or a value that has no name here.
            #[default]
            Unknown = 0,
            $($(#[$note])* $variant = $value,)*
        }

        impl $name {
            /// The integer on the wire.
            pub fn value(self) -> i64 {
                self as i64
            }
        }

        impl From<i64> for $name {
            fn from(value: i64) -> Self {
                match value {
                    $($value => Self::$variant,)*
                    _ => Self::Unknown,
                }
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_i64(self.value())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                reading::integer(deserializer).map(Self::from)
            }
        }
    };
}

wire_enumeration! {
    /// What kind of agent registers.
    AgentPlatform {
        /// 1: .NET; newer documentation folds the universal orchestrator into it.
        DotNet = 1,
        /// 2: the Java agent.
        Java = 2,
        /// 3: Mac.
        Mac = 3,
        /// 4: Android.
        Android = 4,
        /// 5: native code: the public C agent, and ours.
        Native = 5,
        /// 6: the Bash orchestrator.
        Bash = 6,
        /// 7: the universal orchestrator.
        UniversalOrchestrator = 7,
    }
}

wire_enumeration! {
    /// `Result.Status` of every response. The public C agent stops its current step at Warning and at Error.
    ResultStatus {
        /// 1: success. Always sent on success, as a missing one makes a good job end as unfinished.
        Success = 1,
        /// 2: warning.
        Warning = 2,
        /// 3: error.
        Error = 3,
    }
}

wire_enumeration! {
    /// `Status` of a Complete request. Values 2, 3 and 4 equal the API's job result.
    CompleteStatus {
        /// 1: in process; treat it as unfinished, not as success.
        InProcess = 1,
        /// 2: success.
        Success = 2,
        /// 3: warning.
        Warning = 3,
        /// 4: error.
        Error = 4,
    }
}

wire_enumeration! {
    /// What a management job shall do.
    OperationType {
        /// 1: inventory.
        Inventory = 1,
        /// 2: put a certificate into the store.
        Add = 2,
        /// 3: take a certificate out of the store.
        Remove = 3,
        /// 4: create the store.
        Create = 4,
        /// 5: create the store and put a certificate into it (the C agent's name).
        CreateAdd = 5,
    }
}

wire_enumeration! {
    /// How an inventory item differs from what the server knew. Zero (`Unknown`) is what extensions send: full
    /// certificates, the server compares.
    InventoryItemStatus {
        /// 1: new to the server.
        Add = 1,
        /// 2: changed under a known alias.
        Modify = 2,
        /// 3: known to the server, gone from the store.
        Remove = 3,
        /// 4: unchanged; the item carries no certificates.
        Unchanged = 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enumerations_are_integers_and_never_fail_a_body() {
        assert_eq!(serde_json::to_string(&AgentPlatform::Native).unwrap(), "5");
        for (text, expected) in [
            ("2", OperationType::Add),
            ("2.0", OperationType::Add),
            ("\"3\"", OperationType::Remove),
            ("\"Add\"", OperationType::Unknown),
            ("99", OperationType::Unknown),
            ("null", OperationType::Unknown),
        ] {
            let read: OperationType = serde_json::from_str(text).unwrap();
            assert_eq!(read, expected, "{text}");
        }
    }
}
