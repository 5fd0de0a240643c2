//! What runs saw, counted.

/// What a run saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub registered: u64,
    pub answered: u64,
    pub refused: u64,
    pub cancelled: u64,
    pub timed_out: u64,
    pub failed: u64,
    pub echo_packets: u64,
    /// RTP packets that went from one address family to the other.
    pub relayed_packets: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub subscribed: u64,
    pub notified: u64,
    /// SUBSCRIBEs without a NOTIFY for so long that a strict phone gives up.
    pub unnotified: u64,
    /// Versions of registration documents that never came although later ones did.
    pub missed: u64,
    pub pracked: u64,
    pub told: u64,
    /// Offers inside calls and before the answer; refusals that nothing calls for.
    pub moves: u64,
    pub early_updates: u64,
    pub odd: u64,
    /// Calls in which nobody holds and nothing runs.
    pub deaf: u64,
    /// Sessions that phones have refreshed, that the server has, and that it has not though it had to.
    pub refreshed: u64,
    pub was_refreshed: u64,
    pub expired: u64,
    /// Calls for help, those that were told to come another way, and calls back.
    pub asked_for_help: u64,
    pub sent_elsewhere: u64,
    pub called_back: u64,
    /// Calls that reached the trunk's server, or came from it.
    pub trunked: u64,
    pub cut: u64,
    pub crashed: u64,
    pub stopped: u64,
    pub operated: u64,
    pub network_calls: u64,
    /// Decisions of the policy server.
    pub bearers: u64,
    /// 2xx of phones whose ACK never came.
    pub unacknowledged: u64,
    pub texted: u64,
    pub echoed: u64,
    /// Registrations through IPsec, and those that renewed the associations.
    pub shielded: u64,
    pub renewed: u64,
    /// REGISTERs of phones that do everything right, refused.
    pub refusals: u64,
    /// What the kernel did late, would not take, and lost.
    pub late: u64,
    pub denied: u64,
    pub lost_sets: u64,
    pub forged: u64,
    /// Messages of the core that had no association to leave through, and packets under wrong keys.
    pub guarded: u64,
    pub unreadable: u64,
    /// All octets that the core sent, hashed.
    pub digest: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Outcome) {
        self.registered += other.registered;
        self.answered += other.answered;
        self.refused += other.refused;
        self.cancelled += other.cancelled;
        self.timed_out += other.timed_out;
        self.failed += other.failed;
        self.echo_packets += other.echo_packets;
        self.relayed_packets += other.relayed_packets;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.subscribed += other.subscribed;
        self.notified += other.notified;
        self.unnotified += other.unnotified;
        self.missed += other.missed;
        self.pracked += other.pracked;
        self.told += other.told;
        self.moves += other.moves;
        self.early_updates += other.early_updates;
        self.odd += other.odd;
        self.deaf += other.deaf;
        self.refreshed += other.refreshed;
        self.was_refreshed += other.was_refreshed;
        self.expired += other.expired;
        self.asked_for_help += other.asked_for_help;
        self.sent_elsewhere += other.sent_elsewhere;
        self.called_back += other.called_back;
        self.trunked += other.trunked;
        self.cut += other.cut;
        self.crashed += other.crashed;
        self.stopped += other.stopped;
        self.operated += other.operated;
        self.network_calls += other.network_calls;
        self.bearers += other.bearers;
        self.unacknowledged += other.unacknowledged;
        self.texted += other.texted;
        self.echoed += other.echoed;
        self.shielded += other.shielded;
        self.renewed += other.renewed;
        self.refusals += other.refusals;
        self.late += other.late;
        self.denied += other.denied;
        self.lost_sets += other.lost_sets;
        self.forged += other.forged;
        self.guarded += other.guarded;
        self.unreadable += other.unreadable;
        self.digest ^= other.digest;
    }
}
