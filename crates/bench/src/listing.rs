//! Pages of 50 from the certificate list, one caller: first pages, late pages, sorted and filtered ones.

use std::time::Instant;

use crate::client::Latencies;
use crate::server::Server;

/// Requests measured.
const REQUESTS: usize = 1_000;

/// Asks for pages spread over the whole list.
pub(crate) async fn run(server: &Server, certificates: usize) -> anyhow::Result<Latencies> {
    let api = server.api()?;
    let pages = certificates.div_ceil(50).max(1);
    let mut each = Vec::with_capacity(REQUESTS);
    let began = Instant::now();
    for number in 0..REQUESTS {
        let path = match number % 4 {
            0 => "/Certificates?ReturnLimit=50".to_owned(),
            1 => format!(
                "/Certificates?ReturnLimit=50&PageReturned={}",
                1 + number * 7 % pages
            ),
            2 => "/Certificates?ReturnLimit=50&SortField=NotAfter&SortAscending=1".to_owned(),
            _ => format!(
                "/Certificates?ReturnLimit=50&QueryString=IssuedCN%20-startswith%20%22host{:04}%22",
                number % 1_000
            ),
        };
        let asked = Instant::now();
        api.get(&path).await?;
        each.push(asked.elapsed());
    }
    Ok(Latencies::of(each, began.elapsed()))
}
