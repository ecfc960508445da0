//! The work of a process of Synapse, and the role that takes it over from the main process.
//!
//! Synapse's metrics name a request by the class of its servlet, and other work by the name of its background process.

use crate::topology::Topology;

/// A kind of work in Synapse's metrics: its name, and the role whose workers do it if there are any.
pub type Row = (&'static str, &'static str);

/// Requests, by the class of their servlet. `tests/routes.rs` compares the rows with the routing table.
#[rustfmt::skip] // one role per line
pub static SERVLETS: &[Row] = &[
    ("SyncRestServlet", "synchrotron"), ("EventStreamRestServlet", "synchrotron"), ("InitialSyncRestServlet", "synchrotron"),
    ("SlidingSyncRestServlet", "sliding_sync"),
    ("RoomSendEventRestServlet", "event_creator"), ("RoomStateEventRestServlet", "event_creator"),
    ("RoomRedactEventRestServlet", "event_creator"), ("RoomMembershipRestServlet", "event_creator"),
    ("JoinRoomAliasServlet", "event_creator"), ("RoomCreateRestServlet", "event_creator"),
    ("RoomMessageListRestServlet", "client_reader"), ("RoomMemberListRestServlet", "client_reader"),
    ("JoinedRoomMemberListRestServlet", "client_reader"), ("JoinedRoomsRestServlet", "client_reader"),
    ("RoomEventContextServlet", "client_reader"), ("RoomStateRestServlet", "client_reader"),
    ("RoomHierarchyRestServlet", "client_reader"), ("RelationPaginationServlet", "client_reader"),
    ("KeyQueryServlet", "client_reader"), ("OneTimeKeyServlet", "client_reader"), ("KeyChangesServlet", "client_reader"),
    ("ProfileRestServlet", "client_reader"), ("LoginRestServlet", "client_reader"), ("RegisterRestServlet", "client_reader"),
    ("SearchRestServlet", "client_reader"), ("PublicRoomListRestServlet", "client_reader"), ("VersionsRestServlet", "client_reader"),
    ("KeyUploadServlet", "device_lists"), ("DevicesRestServlet", "device_lists"), ("SignaturesUploadServlet", "device_lists"),
    ("RoomTypingRestServlet", "typing"),
    ("ReceiptRestServlet", "receipts"), ("ReadMarkerRestServlet", "receipts"),
    ("SendToDeviceRestServlet", "to_device"),
    ("PresenceStatusRestServlet", "presence"),
    ("AccountDataServlet", "account_data"), ("TagServlet", "account_data"),
    ("UserDirectorySearchRestServlet", "user_dir"),
    ("FederationSendServlet", "federation_inbound"),
    ("FederationStateV1Servlet", "federation_reader"), ("FederationStateIdsServlet", "federation_reader"),
    ("FederationEventServlet", "federation_reader"), ("FederationBackfillServlet", "federation_reader"),
    ("FederationGetMissingEventsServlet", "federation_reader"), ("FederationMakeJoinServlet", "federation_reader"),
    ("FederationV2SendJoinServlet", "federation_reader"), ("FederationClientKeysQueryServlet", "federation_reader"),
    ("UploadServlet", "media_repository"), ("DownloadResource", "media_repository"), ("ThumbnailResource", "media_repository"),
    ("PreviewURLServlet", "media_repository"),
];

/// Work without a request of a client or another homeserver, by the name of its background process or of the request
/// between processes. The comment above a row names the file of Synapse 1.163.2.
pub static BACKGROUND: &[Row] = &[
    // storage/controllers/persist_events.py
    ("persist_events", "event_persister"),
    // replication/http/send_events.py, federation.py
    ("ReplicationSendEventsRestServlet", "event_persister"),
    (
        "ReplicationFederationSendEventsRestServlet",
        "event_persister",
    ),
    // federation/sender/
    ("process_event_queue_for_federation", "federation_sender"),
    (
        "federation_transaction_transmission_loop",
        "federation_sender",
    ),
    // push/
    ("httppush.process", "pusher"),
    ("emailpush.process", "pusher"),
    // handlers/appservice.py, appservice/scheduler.py
    ("as_scheduler", "appservice"),
    ("as-sender", "appservice"),
    // handlers/user_directory.py
    ("user_directory.notify_new_event", "user_dir"),
    // handlers/stats.py, storage/background_updates.py
    ("stats.notify_new_event", "background_worker"),
    ("background_updates", "background_worker"),
];

/// The role that a kind of work belongs to.
pub fn role_of(work: &str) -> Option<&'static str> {
    let mut rows = SERVLETS.iter().chain(BACKGROUND);
    rows.find(|(name, _)| *name == work).map(|(_, role)| *role)
}

/// The processors that each role would take over from the main process, the largest part first. Roles that a worker has
/// already are left out: what main does of their work, it does for another reason.
pub fn movable<'a>(
    work: impl Iterator<Item = (&'a String, &'a f64)>,
    topology: &Topology,
) -> Vec<(&'static str, f64)> {
    let mut found: Vec<(&'static str, f64)> = Vec::new();
    for (name, cores) in work {
        let free = |role: &&str| topology.with_role(role).next().is_none();
        let Some(role) = role_of(name).filter(free) else {
            continue;
        };
        match found.iter_mut().find(|(known, _)| *known == role) {
            Some((_, sum)) => *sum += cores,
            None => found.push((role, *cores)),
        }
    }
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::parse;
    use std::collections::BTreeMap;

    #[test]
    fn work_of_a_role_without_a_worker_can_move() {
        let topology = Topology::new(parse(&["pusher"]).unwrap()).unwrap();
        let work: BTreeMap<String, f64> = [
            ("SyncRestServlet", 0.2),
            ("KeyQueryServlet", 0.2),
            ("ProfileRestServlet", 0.1),
            ("httppush.process", 0.5),
            ("unknown", 0.9),
        ]
        .map(|(name, cores)| (name.to_owned(), cores))
        .into();
        let found = movable(work.iter(), &topology);
        assert_eq!(found[0].0, "client_reader");
        assert!((found[0].1 - 0.3).abs() < 1e-9);
        assert_eq!(found[1], ("synchrotron", 0.2));
        assert_eq!(found.len(), 2);
    }
}
