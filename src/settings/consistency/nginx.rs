//! Rules for the section `nginx`.

use super::{Rule, violated};
use crate::settings::socket_path;
use crate::settings::table::Buffer;

pub(super) static RULES: &[Rule] = &[
    |settings| {
        let least = settings.nginx.buffers().largest();
        let nginx = &settings.nginx;
        let sizes = [
            (
                "nginx.proxy_busy_buffers_size",
                nginx.proxy_busy_buffers_size,
            ),
            (
                "nginx.proxy_temp_file_write_size",
                nginx.proxy_temp_file_write_size,
            ),
        ];
        let small = |size: &Option<Buffer>| size.is_some_and(|size| u64::from(size.get()) < least);
        let (key, _) = sizes.into_iter().find(|(_, size)| small(size))?;
        let problem = format!(
            "`{key}` is smaller than a single buffer of {least} bytes, which nginx refuses"
        );
        let help =
            format!("raise `{key}`, or lower `nginx.proxy_buffer_size` or `nginx.page_size`");
        Some((key, problem, help))
    },
    |settings| {
        let path = settings.nginx.listen_unix_socket.as_ref()?.as_str();
        let problem = socket_path::problem(path)?;
        let problem = format!("`nginx.listen_unix_socket` is {path}, {problem}");
        let help = "choose a path such as /run/matrix/nginx.sock";
        Some(("nginx.listen_unix_socket", problem, help.to_owned()))
    },
    |settings| {
        let proxied = !settings.nginx.proxy_protocol_ports.is_empty();
        let closed = proxied && settings.trusted_proxies.is_empty();
        violated(closed, "nginx.proxy_protocol_ports", || {
            (
                "`nginx.proxy_protocol_ports` is set, but `trusted_proxies` is empty, so nginx would refuse every connection to \
                 them"
                    .to_owned(),
                "add the address of the proxy to `trusted_proxies`".to_owned(),
            )
        })
    },
    |settings| {
        let path = settings.nginx.web_root.as_ref()?.as_str();
        violated(path.contains(['$', '\\']), "nginx.web_root", || {
            (
                format!(
                    "`nginx.web_root` is {path}, and $ and \\ have a meaning of their own in nginx"
                ),
                "rename the directory".to_owned(),
            )
        })
    },
];
