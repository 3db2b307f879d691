#' The engine of the Cell Atlas service
#'
#' Sends the expression of every cell to a service that speaks the Cell Atlas API, the hosted one or
#' `cellferry serve` on your own machine, and takes home a label for each. Pass the result to
#' [AnnotateCells()]. Cells are sent in chunks, and each answer is kept in the run at once, so that
#' [ResumeAnnotation()] goes on with the chunk that is missing.
#'
#' @inheritSection Engine Keys
#' @param api_url Whole address of the annotation endpoint; `NULL` is the environment variable
#'   `CELLATLAS_API_URL`, else the hosted service.
#' @param api_key Sent to the service, and stored nowhere. `NULL` is the environment variable
#'   `CELLATLAS_API_KEY`. A service on this machine needs none.
#' @param model,reference_atlas As the service knows them.
#' @param timeout Seconds: longest silence of the service, and longest time of one request.
#' @param chunk_size,chunk_bytes Most cells of a request (at most 100,000), and about how many bytes
#'   it may have.
#' @param parallel Requests at once.
#' @param compress Whether requests are gzipped; `NULL`: once the service has said that it takes
#'   that, by the response header `Accept-Encoding`.
#' @param values `"auto"`: raw counts where the object has them, else log-normalised values;
#'   `"counts"` or `"normalized"` insists, and reads only those.
#' @param qc What is done about empty droplets, dying cells and doublets: `"warn"`, `"filter"` (they
#'   are not sent and get no label) or `"off"`.
#' @param min_counts,max_mitochondrial A cell with fewer counts is an empty droplet; one with a
#'   larger share of mitochondrial counts is dying.
#'
#' @return An object of class `cellferry_engine`.
#' @family annotation
#' @seealso `vignette("annotating-cells")`
#' @examples
#' CellAtlasEngine(qc = "filter")
#' CellAtlasEngine(api_url = "http://127.0.0.1:8000/v1/singlecell/annotate")
#' @export
CellAtlasEngine <- function(api_url = NULL, api_key = NULL, model = "geneformer",
                            reference_atlas = "human-core-2026", timeout = 300,
                            chunk_size = 50000L, chunk_bytes = 24 * 1024^2, parallel = 2L,
                            compress = NULL, values = "auto", qc = "warn", min_counts = 200L,
                            max_mitochondrial = 0.2) {
  new_engine("cellatlas", mget(names(formals())))
}
