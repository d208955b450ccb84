//! The first addresses of a new master, put there by their own thread beside the writer.

use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::net::if_::if_nametoindex;
use tandem::net::address::{AddressKey, AddressSpec};
use tandem::net::swift::{Place, Swift};

use super::lab::{in_a_namespace, ip, key, shown, start};

fn place(address: &str, prefix_len: u8) -> Place {
    let index = if_nametoindex("eth0").unwrap();
    Place { key: key(address, prefix_len), spec: AddressSpec::default(), index }
}

fn swift() -> (Swift, Receiver<Vec<AddressKey>>) {
    let (told, hears) = channel();
    (Swift::start(|| (), move |keys| told.send(keys).unwrap()).unwrap(), hears)
}

#[test]
fn what_is_there_is_told_and_what_is_refused_is_not() {
    in_a_namespace(|| async {
        let (swift, hears) = swift();
        ip("address add 10.0.0.101/32 dev eth0");
        // Prefix lengths of IPv4 end at 32.
        let all = ["10.0.0.100", "10.0.0.101", "2001:db8::100"].map(|text| place(text, 32));
        let begun = Instant::now();
        swift.place([&all[..], &[place("10.0.0.102", 40)]].concat());
        let told = hears.recv_timeout(Duration::from_secs(5)).unwrap();
        println!("MEASURED first_addresses_ms={:.2}", begun.elapsed().as_secs_f64() * 1000.0);
        assert_eq!(told, all.map(|place| place.key));
        let text = shown("address show dev eth0");
        assert!(text.contains("10.0.0.100/32") && text.contains("2001:db8::100/32"), "{text}");
        drop(swift);
        assert!(hears.recv_timeout(Duration::from_secs(5)).is_err(), "its thread has ended");
    });
}

#[test]
fn the_writer_takes_away_what_comes_too_late() {
    in_a_namespace(|| async {
        let mut run = start().await;
        // Ours, and not wished any more.
        run.wish(1, &[(key("10.0.0.99", 32), AddressSpec::default())], &[key("10.0.0.100", 32)]).await;
        let (swift, hears) = swift();
        swift.place(vec![place("10.0.0.100", 32)]);
        tokio::task::spawn_blocking(move || hears.recv_timeout(Duration::from_secs(5)).unwrap())
            .await
            .unwrap();
        let begun = Instant::now();
        while shown("address show dev eth0").contains("10.0.0.100") {
            assert!(begun.elapsed() < Duration::from_secs(5), "it stays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        println!("MEASURED late_address_gone_ms={:.2}", begun.elapsed().as_secs_f64() * 1000.0);
        drop(swift);
    });
}
