test_that("clusters that are no ASCII keep their cells and their names in the C locale", {
  skip_without_backend()
  skip_on_os("windows")
  folder <- withr::local_tempdir()
  names <- c("Zelle \u00fc", "\u7ec6\u80de", "plain")
  object <- renamed_object(names)
  SeuratObject::Idents(object) <- "renamed"
  markers <- renamed_markers(names)
  saveRDS(list(object = object, markers = markers), file.path(folder, "x.rds"))
  found <- run_r(
    c(
      "library(cellferry)",
      paste0("x <- readRDS(", deparse(file.path(folder, "x.rds")), ")"),
      "y <- AnnotateClusters(x$object, x$markers, verbose = FALSE)",
      "table <- Annotations(y)",
      "clusters <- as.character(y$renamed)",
      "labels <- as.character(y$cell_type)",
      "for (i in seq_along(table$cluster)) {",
      "  mine <- labels[enc2utf8(clusters) == enc2utf8(table$cluster[i])]",
      "  code <- paste(utf8ToInt(enc2utf8(table$cluster[i])), collapse = ' ')",
      "  cat(code, length(mine), length(unique(mine)), '\\n', sep = '|')",
      "}",
      "print(table)"
    ),
    c("LC_ALL=C", paste0("CELLFERRY_HOME=", shQuote(folder)))
  )
  sizes <- as.vector(table(factor(object$renamed, names)))
  codes <- vapply(names, function(name) paste(utf8ToInt(name), collapse = " "), "")
  expect_setequal(
    grep("[|]", found, value = TRUE), paste(unname(codes), sizes, "1|", sep = "|")
  )
})
