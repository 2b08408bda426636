// Package figure turns measured values into medians, ratios and text.
package figure
