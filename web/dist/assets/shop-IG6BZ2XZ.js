import"./shop.chunk-QZ5HX7W3.js";import"./shop.chunk-NOV75CWV.js";
