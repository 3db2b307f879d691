# One measurement in a process of its own: Rscript measure.R METHOD MILLIONS_OF_VALUES
# Prints JSON: seconds, extra peak memory in bytes, bytes of the matrix, or an error.
arguments <- commandArgs(TRUE)
method <- arguments[[1]]
millions <- as.numeric(arguments[[2]])
file <- sub("^--file=", "", grep("^--file=", commandArgs(FALSE), value = TRUE))
source(file.path(dirname(file), "objects.R"))

memory <- function(field) {
  line <- grep(paste0("^", field, ":"), readLines("/proc/self/status"), value = TRUE)
  as.numeric(gsub("[^0-9]", "", line)) * 1024
}

mat <- make_matrix(millions * 1e6)
bytes <- 12 * length(mat@x) + 4 * length(mat@p)
prepare <- list(
  copy = function() {
    reticulate::import("numpy", convert = FALSE)
    values <- reticulate::import_builtins(convert = FALSE)
    reticulate::py_run_string(paste(
      "import numpy as np",
      "def make(n, p):",
      "    global held",
      "    held = (np.ones(n, 'f8'), np.ones(n, 'i4'), np.ones(p, 'i4'))",
      "def copy():",
      "    global copied",
      "    copied = []",
      "    for values in held:",
      "        fresh = np.empty_like(values)",
      "        np.copyto(fresh, values)",
      "        copied.append(fresh)",
      sep = "\n"
    ))
    reticulate::py_run_string(sprintf("make(%d, %d)", length(mat@x), length(mat@p)))
    rm(mat, envir = globalenv())
    NULL
  },
  cellferry = function() make_object(mat),
  cellferry_split = function() make_object(mat, 4L),
  reticulate = function() {
    reticulate::import("scipy.sparse", convert = FALSE)
    mat
  }
)
run <- list(
  copy = function(x) reticulate::py_run_string("copy()"),
  cellferry = function(x) cellferry:::open_study(x, "group", parts = "normalized", verbose = FALSE),
  reticulate = function(x) reticulate::r_to_py(x)
)
run$cellferry_split <- run$cellferry

answer <- tryCatch(
  {
    input <- prepare[[method]]()
    rm(list = intersect("mat", ls()))
    if (startsWith(method, "cellferry")) invisible(cellferry:::backend())
    invisible(gc())
    before <- memory("VmRSS")
    # Sets the peak back to what is used now.
    cat("5", file = "/proc/self/clear_refs")
    seconds <- system.time(kept <- run[[method]](input), gcFirst = FALSE)[["elapsed"]]
    list(seconds = seconds, extra = memory("VmHWM") - before, bytes = bytes)
  },
  error = function(cnd) list(error = strsplit(conditionMessage(cnd), "\n")[[1]][1], bytes = bytes)
)
cat(jsonlite::toJSON(answer, auto_unbox = TRUE, digits = 6), "\n")
