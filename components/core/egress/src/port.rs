//! Ports denied by default: services that could take an HTTP request for commands, and stores that often run without a
//! password.

/// The ports that browsers refuse for the same reason (Fetch standard, "bad port"), sorted.
const BROWSERS: &[u16] = &[
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
];

/// Stores, queues and consoles that often run without a password, sorted by port: SMB, Oracle, MS SQL, Docker, etcd,
/// ZooKeeper, MySQL, Remote Desktop, Subversion, NATS, PostgreSQL, AMQP, VNC, CouchDB, Redis and its sentinel and bus,
/// Kafka, Cassandra, Elasticsearch, Kubernetes' kubelet, memcached, MongoDB.
const STORES: &[u16] = &[
    445, 1433, 1521, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3690, 4222, 5432, 5672, 5900, 5984,
    6222, 6379, 8222, 9042, 9092, 9200, 9300, 10250, 10255, 11211, 16379, 26379, 27017, 27018,
];

/// Whether a port is denied unless the operator opens it.
#[must_use]
pub fn denied_by_default(port: u16) -> bool {
    BROWSERS.binary_search(&port).is_ok() || STORES.binary_search(&port).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{BROWSERS, STORES, denied_by_default};

    #[test]
    fn the_lists_are_in_order_and_leave_the_web_alone() {
        assert!(BROWSERS.is_sorted() && STORES.is_sorted());
        for port in [25, 6379, 4222, 0, 10080] {
            assert!(denied_by_default(port), "{port}");
        }
        for port in [80, 443, 8080, 8443, 3000, 65_535] {
            assert!(!denied_by_default(port), "{port}");
        }
    }
}
