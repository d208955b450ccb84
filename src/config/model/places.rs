//! Letting go of where things stand: places are for findings, and a daemon that has told them runs for months.

use super::{HttpGet, Origin, RealServer, RealSettings, SmtpCheck, VirtualServer};

impl VirtualServer {
    /// Of the virtual server, and of all that is in it.
    pub(super) fn forget_places(&mut self) {
        self.origin = Origin::default();
        self.real_server.iter_mut().for_each(RealServer::forget_places);
    }
}

impl RealServer {
    fn forget_places(&mut self) {
        self.origin = Origin::default();
        self.settings_mut().forget_places();
    }
}

impl RealSettings {
    fn forget_places(&mut self) {
        self.tcp_check.iter_mut().for_each(|check| check.origin = Origin::default());
        self.http_get.iter_mut().chain(&mut self.ssl_get).for_each(HttpGet::forget_places);
        self.smtp_check.iter_mut().for_each(SmtpCheck::forget_places);
        self.dns_check.iter_mut().for_each(|check| check.origin = Origin::default());
        self.misc_check.iter_mut().for_each(|check| check.origin = Origin::default());
        self.udp_check.iter_mut().for_each(|check| check.origin = Origin::default());
        self.ping_check.iter_mut().for_each(|check| check.origin = Origin::default());
        self.grpc_check.iter_mut().for_each(|check| check.origin = Origin::default());
        self.file_check.iter_mut().for_each(|check| check.origin = Origin::default());
        self.bfd_check.iter_mut().for_each(|check| check.origin = Origin::default());
    }
}

impl HttpGet {
    fn forget_places(&mut self) {
        self.origin = Origin::default();
        self.url.iter_mut().for_each(|url| url.origin = Origin::default());
    }
}

impl SmtpCheck {
    fn forget_places(&mut self) {
        self.origin = Origin::default();
        self.host.iter_mut().for_each(|host| host.origin = Origin::default());
    }
}
