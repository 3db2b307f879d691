#' @rdname Engine
#' @param api_url Address of the service. `NULL` is the environment variable `CYTETYPE_API_URL`,
#'   else the hosted service. Only `https` leaves this machine.
#' @param auth_token Sent to the service, and stored nowhere. `NULL` is the environment variable
#'   `CYTETYPE_AUTH_TOKEN`.
#' @param llm_configs Models that the service is to use: a list of lists with `provider`, `name`,
#'   and where needed `apiKey`, `baseUrl`, `modelSettings`, `targetAgents`.
#' @param metadata Named list of what the report is to show of the experiment; links stay links.
#' @param n_parallel_clusters Clusters annotated at once, 1 to 50.
#' @param visibility `"private"`, `"org"` or `"public"`; `NULL` leaves it to the service.
#' @param rank_key,gene_symbols_column,coordinates_key Where an AnnData has its ranking, symbols and
#'   embedding; not used for objects of R.
#' @param n_top_genes Markers per cluster.
#' @param aggregate_metadata,min_percentage,max_metadata_categories Whether the composition of
#'   clusters by metadata is sent; of values that more than this percentage of cells have, in
#'   columns with at most so many values.
#' @param pcent_batch_size Most cells that are read at once.
#' @param max_cells_per_group Cells of each cluster whose coordinates are sent.
#' @param obs_columns The only metadata columns that may leave; `NULL` is all.
#' @param vars_h5_path,obs_duckdb_path Where the artifacts are written: a bare name in the folder of
#'   the run, a path as it is.
#' @param upload_timeout_seconds,upload_max_workers Longest silence of the service during an upload;
#'   parts uploaded at once.
#' @param cleanup_artifacts Whether the artifacts are deleted when the run has finished or failed.
#' @param require_artifacts Whether it is an error if an artifact can't be built or uploaded.
#' @param save_query,query_filename Whether and where what is asked is kept as JSON; never a key.
#' @param poll_interval_seconds,timeout_seconds Longest pause between two looks at the job; longest
#'   wait for it.
#' @param overwrite_files Whether files of these names that cellferry did not write are replaced.
#' @export
CyteTypeEngine <- function(api_url = NULL, auth_token = NULL, llm_configs = NULL, metadata = NULL,
                           n_parallel_clusters = 2L, visibility = NULL,
                           rank_key = "rank_genes_groups", gene_symbols_column = NULL,
                           n_top_genes = 50L, aggregate_metadata = TRUE, min_percentage = 10L,
                           max_metadata_categories = 500L, pcent_batch_size = 2000L,
                           coordinates_key = "X_umap", max_cells_per_group = 1000L,
                           obs_columns = NULL, vars_h5_path = "vars.h5",
                           obs_duckdb_path = "obs.duckdb", upload_timeout_seconds = 3600,
                           upload_max_workers = 4L, cleanup_artifacts = FALSE,
                           require_artifacts = TRUE, save_query = TRUE,
                           query_filename = "query.json", poll_interval_seconds = 30,
                           timeout_seconds = 7200, overwrite_files = FALSE) {
  options <- mget(names(formals()))
  do.call(Engine, c(list("cytetype"), options))
}
