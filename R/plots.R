# Pictures of labels by ggplot2, which are drawn alike in Python (plots/). Each returns a ggplot.

#' Labels on an embedding
#'
#' Draws cells on an embedding, coloured by [LabelColors()], with the names of the labels at the
#' middle of their cells. Names that would meet are moved apart by the package ggrepel, which comes
#' with Seurat; without it, and for more than 30 labels, the picture has numbers and the names are
#' beside it. Cells without a label are grey.
#'
#' @inheritParams LabelColors
#' @param reduction Name of the embedding; `NULL` is the newest UMAP, else t-SNE, else PCA.
#' @param legend Where names are: `"auto"`, `"on data"` or `"beside"`.
#' @param pt.size Size of a dot; `NULL` follows the number of cells.
#' @param dark Whether the background is dark.
#'
#' @return A ggplot object.
#' @family plots
#' @examplesIf cellferry:::has_backend() && requireNamespace("ggplot2", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' LabelPlot(x) + ggplot2::ggtitle("Blood")
#' @export
LabelPlot <- function(object, key = NULL, reduction = NULL, legend = "auto", pt.size = NULL,
                      dark = FALSE) {
  check_plot(key, dark)
  check_text(reduction, "reduction", null = TRUE)
  if (!rlang::is_string(legend, c("auto", "on data", "beside"))) {
    invalid_argument(legend, "legend", "\"auto\", \"on data\" or \"beside\"")
  }
  found <- plotted_labels(object, key, dark)
  points <- embedded_cells(object, reduction)
  points$label <- found$labels
  beside <- legend == "beside" || legend == "auto" &&
    (length(found$colors) > most_on_data || !is_installed("ggrepel"))
  middles <- label_middles(points)
  # Not label by label, of which the last would cover the others.
  points <- points[order(!is.na(points$label), (seq_len(nrow(points)) * 7919) %% 10007), ]
  shown <- levels(points$label)
  names <- if (beside) paste(seq_along(shown), shown) else shown
  plot <- ggplot2::ggplot(points, mapping(x = "x", y = "y", colour = "label")) +
    ggplot2::geom_point(size = pt.size %||% dot_size(nrow(points)), stroke = 0) +
    ggplot2::scale_colour_manual(
      values = found$colors, breaks = shown, labels = names, na.value = found$none, name = NULL
    ) +
    embedding_theme(attr(points, "name"), dark) + ggplot2::ggtitle(found$key)
  text <- plot_colors(dark)
  if (beside) {
    middles$text <- as.character(as.integer(middles$label))
    return(plot + written_names(middles, text, is_installed("ggrepel")) + dots_beside(shown))
  }
  middles$text <- as.character(middles$label)
  plot + written_names(middles, text, is_installed("ggrepel")) +
    ggplot2::theme(legend.position = "none")
}

#' Confidence of labels on an embedding
#'
#' Draws cells on an embedding, coloured by the confidence of their label, from 0 to 1. Cells
#' without a confidence are grey; the least sure are on top.
#'
#' @inheritParams LabelPlot
#' @inherit LabelPlot return
#' @family plots
#' @examplesIf cellferry:::has_backend() && requireNamespace("ggplot2", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' ConfidencePlot(x)
#' @export
ConfidencePlot <- function(object, key = NULL, reduction = NULL, pt.size = NULL, dark = FALSE) {
  check_plot(key, dark)
  check_text(reduction, "reduction", null = TRUE)
  source <- label_source(object, key)
  column <- paste0(source$key, "_confidence")
  values <- extract_metadata(object)[[column]]
  if (is.null(values)) {
    cellferry_stop(
      "group_missing",
      paste0("The metadata has no column \"", column, "\" with the confidence of the labels.")
    )
  }
  points <- embedded_cells(object, reduction)
  name <- attr(points, "name")
  points$confidence <- as.numeric(values)
  points <- points[order(-points$confidence, na.last = FALSE), ]
  ggplot2::ggplot(points, mapping(x = "x", y = "y", colour = "confidence")) +
    ggplot2::geom_point(size = pt.size %||% dot_size(nrow(points)), stroke = 0) +
    ggplot2::scale_colour_viridis_c(
      limits = c(0, 1), direction = if (dark) -1 else 1, na.value = plot_colors(dark)$none
    ) +
    embedding_theme(name, dark) + ggplot2::ggtitle(paste("Confidence of", source$key))
}

#' Dot plot of the genes that support each label
#'
#' Labels and their genes are in lineage order, so that what supports a label is on the diagonal.
#' The size of a dot is the share of the label's cells that have the gene; its colour is the mean of
#' the normalised values, from 0 to the highest mean of the gene.
#'
#' @inheritParams LabelPlot
#' @param key Key of the annotations; `NULL` is the newest of clusters, else of cells.
#' @param n Most genes per label.
#' @param assay Assay with the values; `NULL` is the default assay.
#' @inherit LabelPlot return
#' @family plots
#' @examplesIf cellferry:::has_backend() && requireNamespace("ggplot2", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' SupportingMarkersPlot(x)
#' @export
SupportingMarkersPlot <- function(object, key = NULL, n = 3, assay = NULL, dark = FALSE) {
  check_plot(key, dark)
  check_text(assay, "assay", null = TRUE)
  check_object(object)
  supporting <- SupportingMarkers(object, key, n)
  found <- plotted_labels(object, key, dark, of.clusters = TRUE)
  genes <- unlist(supporting[intersect(names(found$colors), names(supporting))], FALSE, FALSE)
  if (!length(genes)) {
    cellferry_stop(
      "annotations_missing", "No genes support the labels of these annotations.",
      "Annotate with markers to have some."
    )
  }
  values <- extract_values(object, genes, assay)
  if (is.null(values)) {
    cellferry_stop(
      "layer_missing",
      "The object has no normalised values of the genes that support the labels.",
      "Normalise it first: x <- NormalizeData(x)"
    )
  }
  dots <- summed_dots(values, found$labels)
  text <- plot_colors(dark)
  many <- nlevels(dots$gene) > many_genes
  ggplot2::ggplot(
    dots, mapping(x = "gene", y = "label", size = "share", colour = "mean")
  ) +
    (if (many) shaded_genes(supporting[rev(levels(dots$label))], levels(dots$gene), text)) +
    ggplot2::geom_point() +
    ggplot2::scale_size_area(
      max_size = if (many) 3 else 5, limits = c(0, 1), breaks = c(0.25, 0.5, 0.75, 1),
      labels = c("25%", "50%", "75%", "100%"), name = "cells with\nthe gene"
    ) +
    ggplot2::scale_colour_gradientn(
      colours = text$shares[-1], limits = c(0, 1), name = "mean, of the\ngene's highest"
    ) +
    ggplot2::guides(size = ggplot2::guide_legend(override.aes = list(colour = text$muted))) +
    ggplot2::labs(x = NULL, y = NULL) + plot_theme(dark) + rotated_names() +
    ggplot2::theme(panel.grid.major = ggplot2::element_line(colour = text$grid)) +
    (if (many) close_genes())
}

# From more on, names of genes are small and in two rows.
many_genes <- 48L

close_genes <- function() {
  small <- ggplot2::element_text(size = 6)
  list(
    ggplot2::guides(
      x = ggplot2::guide_axis(n.dodge = 2, angle = 90),
      colour = ggplot2::guide_colourbar(barwidth = 8)
    ),
    ggplot2::theme(
      axis.text.x = small, axis.text.y = ggplot2::element_text(size = 7.5),
      panel.grid.major = ggplot2::element_line(linewidth = 0.2), legend.position = "top",
      legend.title = ggplot2::element_text(size = 8), legend.text = ggplot2::element_text(size = 7)
    )
  )
}

# The genes of every other label on a ground of their own.
shaded_genes <- function(supporting, genes, text) {
  first <- unlist(supporting, FALSE, FALSE)
  of <- rep(seq_along(supporting), lengths(supporting))[match(genes, first)]
  places <- split(seq_along(genes), of)[as.character(seq(1L, length(supporting), by = 2L))]
  places <- Filter(length, places)
  ground <- data.frame(
    from = vapply(places, min, 0L) - 0.5, to = vapply(places, max, 0L) + 0.5
  )
  # The scale is named first: the ground is at numbers, and genes are none.
  list(ggplot2::scale_x_discrete(limits = genes), ggplot2::geom_rect(
    data = ground, mapping = mapping(xmin = "from", xmax = "to"),
    ymin = -Inf, ymax = Inf, fill = text$muted, alpha = 0.12, inherit.aes = FALSE
  ))
}

#' Old against new labels
#'
#' A field is the share of the cells of a row that have the label of the column; each row is 1
#' together. Cells without a label are a row or a column of their own, where there are some.
#'
#' @inheritParams LabelPlot
#' @param key Metadata column with the labels in rows; it need not be cellferry's.
#' @param with Metadata column with the labels in columns.
#' @inherit LabelPlot return
#' @family plots
#' @examplesIf cellferry:::has_backend() && requireNamespace("ggplot2", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' LabelComparisonPlot(x, "RNA_snn_res.1", with = "cell_type")
#' @export
LabelComparisonPlot <- function(object, key, with, dark = FALSE) {
  check_plot(key, dark, null = FALSE)
  check_text(with, "with")
  rows <- with_none(plotted_labels(object, key, dark)$labels)
  columns <- with_none(plotted_labels(object, with, dark)$labels)
  shares <- as.data.frame(
    prop.table(table(row = rows, column = columns), 1),
    responseName = "share", stringsAsFactors = FALSE
  )
  shares$row <- factor(shares$row, rev(levels(rows)))
  shares$column <- factor(shares$column, levels(columns))
  written <- shares$share >= 0.005 & nrow(shares) <= most_written
  shares$text <- ifelse(written, sub("^0", "", sprintf("%.2f", shares$share)), "")
  colors <- plot_colors(dark)
  shares$ink <- ifelse((shares$share < 0.5) == dark, "#ffffff", "#1c2226")
  ggplot2::ggplot(shares, mapping(x = "column", y = "row", fill = "share")) +
    ggplot2::geom_tile() +
    ggplot2::geom_text(mapping(label = "text"), colour = shares$ink, size = 2.8) +
    ggplot2::scale_fill_gradientn(
      colours = colors$shares, limits = c(0, 1), name = "share of the\nrow's cells"
    ) +
    ggplot2::labs(x = with, y = key) + plot_theme(dark) + rotated_names()
}

#' Labels of each sample
#'
#' Stacked bars, one for each sample, with the labels in lineage order.
#'
#' @inheritParams LabelPlot
#' @param sample.by Metadata column with the samples.
#' @param counts Whether bars are numbers of cells; else they are shares.
#' @inherit LabelPlot return
#' @family plots
#' @examplesIf cellferry:::has_backend() && requireNamespace("ggplot2", quietly = TRUE)
#' # Runs are kept in the user's data folder; here in a temporary one.
#' Sys.setenv(CELLFERRY_HOME = file.path(tempdir(), "cellferry"))
#' x <- AnnotateClusters(SeuratObject::pbmc_small, verbose = FALSE)
#' CompositionPlot(x, sample.by = "groups")
#' @export
CompositionPlot <- function(object, key = NULL, sample.by, counts = FALSE, dark = FALSE) {
  check_plot(key, dark)
  check_text(sample.by, "sample.by")
  check_flag(counts, "counts")
  found <- plotted_labels(object, key, dark)
  samples <- extract_groups(object, sample.by)
  table <- as.data.frame(
    table(
      label = with_none(found$labels),
      sample = factor(samples$names[samples$codes], samples$names)
    ),
    responseName = "cells", stringsAsFactors = FALSE
  )
  names <- c(names(found$colors), no_label)
  table <- table[table$cells > 0, ]
  # The first label of the legend is at the left of the bars.
  table$label <- factor(table$label, rev(names))
  table$sample <- factor(table$sample, rev(samples$names))
  shown <- names[names %in% table$label]
  position <- if (counts) "stack" else "fill"
  ggplot2::ggplot(table, mapping(x = "cells", y = "sample", fill = "label")) +
    ggplot2::geom_col(
      position = position, width = 0.82, colour = plot_colors(dark)$page, linewidth = 0.2
    ) +
    ggplot2::scale_fill_manual(
      values = c(found$colors, stats::setNames(found$none, no_label)), breaks = shown, name = NULL
    ) +
    ggplot2::scale_x_continuous(expand = c(0, 0)) +
    ggplot2::labs(x = if (counts) "cells" else "share of cells", y = sample.by) +
    plot_theme(dark) + ggplot2::guides(fill = ggplot2::guide_legend(ncol = legend_columns(shown)))
}

no_label <- "no label"

# Labels up to which names are written on the cells, and fields up to which shares are written.
most_on_data <- 30L
most_written <- 400L

check_plot <- function(key, dark, null = TRUE) {
  check_text(key, "key", null = null)
  check_flag(dark, "dark")
  if (!is_installed("ggplot2")) {
    cellferry_stop(
      "dependency_missing", "Pictures are drawn by the package ggplot2, which is not installed.",
      "install.packages(\"ggplot2\")"
    )
  }
}

is_installed <- function(package) requireNamespace(package, quietly = TRUE)

# Names of columns for what is drawn: aes() takes symbols.
mapping <- function(...) do.call(ggplot2::aes, lapply(list(...), as.name))

# The label of each cell as a factor in lineage order, of labels that cells have, and their colours.
plotted_labels <- function(object, key, dark, of.clusters = FALSE) {
  source <- label_source(object, key, of.clusters)
  colors <- colors_of_labels(source, unique(source$labels), dark)
  list(
    key = source$key, labels = factor(source$labels, names(colors)), colors = colors,
    none = plot_colors(dark)$none
  )
}

# Cells without a label as a level of its own, where there are some.
with_none <- function(labels) {
  if (!anyNA(labels)) {
    return(labels)
  }
  names <- c(levels(labels), no_label)
  factor(ifelse(is.na(labels), no_label, as.character(labels)), names)
}

embedded_cells <- function(object, reduction) {
  found <- extract_coordinates(object, reduction, newest = TRUE)
  if (is.null(found)) {
    cellferry_stop(
      "group_missing", "The object has no embedding to draw cells on.",
      "Make one first: x <- RunUMAP(x, dims = 1:10)"
    )
  }
  points <- data.frame(x = unname(found$values[, 1]), y = unname(found$values[, 2]))
  structure(points, name = found$name)
}

label_middles <- function(points) {
  points <- points[stats::complete.cases(points), ]
  middles <- stats::aggregate(points[c("x", "y")], points["label"], stats::median)
  middles[order(middles$label), ]
}

dot_size <- function(n) min(max(60 / sqrt(max(n, 1)), 0.3), 2.2)

summed_dots <- function(values, labels) {
  genes <- colnames(values)
  of_label <- lapply(levels(labels), function(label) {
    rows <- values[which(labels == label), , drop = FALSE]
    data.frame(
      label = label, gene = genes, share = colMeans(rows > 0, na.rm = TRUE),
      mean = colMeans(rows, na.rm = TRUE), row.names = NULL
    )
  })
  dots <- do.call(rbind, of_label)
  top <- tapply(dots$mean, dots$gene, max, na.rm = TRUE)[dots$gene]
  dots$mean <- as.numeric(ifelse(top > 0, dots$mean / top, 0))
  dots$label <- factor(dots$label, rev(levels(labels)))
  dots$gene <- factor(dots$gene, genes)
  dots
}

# What is not data: background, text, lines, and the colours of shares from 0 to 1.
plot_colors <- function(dark) {
  if (dark) {
    return(list(
      page = "#000000", ink = "#e4e8ea", muted = "#9aa5ac", grid = "#2a2f33", none = "#4a545a",
      shares = c("#00224e", "#173b6d", "#575d6d", "#8a8678", "#c4b56c", "#fee838")
    ))
  }
  list(
    page = "#ffffff", ink = "#1c2226", muted = "#5c666d", grid = "#eceef0", none = "#c6cccf",
    shares = c("#f7fbff", "#c6dbef", "#9ecae1", "#4292c6", "#2171b5", "#08306b")
  )
}

plot_theme <- function(dark) {
  text <- plot_colors(dark)
  fill <- ggplot2::element_rect(fill = text$page, colour = NA)
  ink <- ggplot2::element_text(colour = text$ink)
  ggplot2::theme_classic() + ggplot2::theme(
    plot.background = fill, panel.background = fill, legend.background = fill,
    legend.key = fill, text = ink, axis.text = ink,
    axis.line = ggplot2::element_line(colour = text$ink),
    axis.ticks = ggplot2::element_blank(), legend.key.size = ggplot2::unit(0.9, "lines")
  )
}

embedding_theme <- function(name, dark) {
  list(
    plot_theme(dark),
    ggplot2::theme(axis.text = ggplot2::element_blank()),
    ggplot2::labs(x = paste(name, 1), y = paste(name, 2))
  )
}

rotated_names <- function() {
  ggplot2::theme(axis.text.x = ggplot2::element_text(angle = 90, hjust = 1, vjust = 0.5))
}

legend_columns <- function(names) 1L + (length(names) - 1L) %/% 16L

dots_beside <- function(names) {
  ggplot2::guides(colour = ggplot2::guide_legend(
    ncol = legend_columns(names), override.aes = list(size = 3)
  ))
}

written_names <- function(middles, text, apart) {
  style <- list(
    data = middles, mapping = mapping(x = "x", y = "y", label = "text"), inherit.aes = FALSE,
    colour = text$ink, size = 3.4, fontface = "bold"
  )
  if (!apart) {
    return(do.call(ggplot2::geom_text, style))
  }
  # The same picture each time: no time-out decides, and no random numbers of the session are used.
  do.call(ggrepel::geom_text_repel, c(style, list(
    bg.color = text$page, bg.r = 0.15, max.overlaps = Inf, seed = 1, point.size = NA,
    box.padding = 0.15, min.segment.length = 0.5, segment.colour = text$muted, max.time = 10,
    max.iter = 20000
  )))
}
