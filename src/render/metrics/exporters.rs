//! The exporters: each a small program on 127.0.0.1 that asks another one and tells Prometheus.

use super::super::Sheaf;
use crate::endpoints::ServicePort;
use crate::paths;
use crate::plan::names;
use anyhow::Result;
use askama::Template;

#[derive(Template)]
#[template(path = "synapse-nginx-exporter.service")]
struct Nginx<'a> {
    program: &'a str,
    status_port: u16,
    port: u16,
}

#[derive(Template)]
#[template(path = "synapse-nginx-log-exporter.service")]
struct NginxLog<'a> {
    current: &'a str,
    access_log: &'a str,
    port: u16,
}

#[derive(Template)]
#[template(path = "mtail/nginx.mtail")]
struct Program {}

/// nginx's own counters.
pub fn nginx(sheaf: &mut Sheaf) -> Result<()> {
    let endpoints = sheaf.input.endpoints();
    let unit = Nginx {
        program: &sheaf.input.facts.exporters.nginx,
        status_port: endpoints.service(ServicePort::NginxStatus),
        port: endpoints.service(ServicePort::NginxExporter),
    };
    sheaf.unit(names::NGINX_EXPORTER, unit.render()?);
    Ok(())
}

/// What nginx's access log tells.
pub fn nginx_log(sheaf: &mut Sheaf) -> Result<()> {
    let unit = NginxLog {
        current: paths::CURRENT,
        access_log: paths::ACCESS_LOG,
        port: sheaf
            .input
            .endpoints()
            .service(ServicePort::NginxLogExporter),
    };
    sheaf.unit(names::NGINX_LOG_EXPORTER, unit.render()?);
    sheaf.text("mtail/nginx.mtail", Program {}.render()?);
    Ok(())
}
