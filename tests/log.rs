//! The log on the hot path: once its buffers have grown, a record costs the loop no allocation.

use imsbox::api::log_options::LogConfig;
use imsbox::base::time::UnixTime;
use imsbox::base::trace::{Dir, Layer, Level, Record, Sink, Subject};
use imsbox::node::log_file::LogFile;
use platform::counting::Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const MESSAGE: &[u8] =
    b"OPTIONS sip:ims.example.org SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1\r\nContent-Length: 4\r\n\r\n\x00\x01\x02\x03";

#[test]
fn a_record_with_content_allocates_nothing_after_warm_up() {
    let path = std::env::temp_dir().join(format!("imsbox-log-hot-{}", std::process::id()));
    let (config, _) = LogConfig::parse("sip.level=debug,sip.max_size=-1,time=full").unwrap();
    // synchronous: the buffers go round once a record, which is their worst case
    let mut log = LogFile::open(path.clone(), config, true, UnixTime::default()).unwrap();
    let mut say = |n: i64| {
        let text = format_args!("OPTIONS sip:ims.example.org SIP/2.0 {n}");
        log.record(&Record {
            at: UnixTime::from_micros(1_608_093_067_000_000 + n * 1000),
            layer: Layer::Sip,
            level: Level::Info,
            dir: Dir::From,
            subject: Subject::Id(7),
            text,
            content: MESSAGE,
        });
    };
    (0..16).for_each(&mut say);
    let before = Counting::allocations();
    (16..1000).for_each(&mut say);
    assert_eq!(Counting::allocations() - before, 0);
    drop(log);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().filter(|l| l.contains("[SIP] FROM 0007")).count(), 1000);
    std::fs::remove_file(path).unwrap();
}
